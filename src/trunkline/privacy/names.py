"""Names so rare that hardly a caller has one, and no other word: what stands for a name.

An own list, made for this: old, literary and place names of several languages. None is the
beginning of another. A caller who does have one of them is protected like everybody else.
"""

from typing import Final

_NAMES: Final = """
Aldhelm Amabel Anwyl Arkwen Athol Averil Bartleby Basilio
Bevis Birtwhistle Blanchard Bolingbroke Brannock Brunhild Caddaric Calderwyn
Carrowmore Cerdic Chalfant Clavering Cloudesley Corisande Crispian Cuthwin
Dagfinn Damaris Delphia Desmoulin Drusilla Dunstan Ealdred Eckhardt
Ethelind Eudora Everild Fandrey Fennimore Ferebee Fitzwarin Fulke
Galloglass Gawen Gervaise Ghislaine Godelieve Griselda Guthlac Hadewych
Hallgrim Harbottle Hengist Hereward Hildegund Huxtable Ibbotson Idonea
Ingoldsby Isembard Jessamyn Jocasta Kerenza Killigrew Kinnaird Kyneburga
Lackington Leofwin Lettice Ludovica Lysander Maccabee Maddern Marchbanks
Melisende Merewyn Mildburgh Mordaunt Nancarrow Nethercott Noemie Oddfrid
Olwenna Orabella Osgyth Oswin Pargeter Pasquale Pellinore Penhallow
Perpetua Petronel Philomel Pomfret Quennell Quillon Radegund Ranulf
Rohese Rosamel Rudyerd Sabran Saethryth Sanderling Scholastica Sibylla
Sigeric Skeffington Sparhawk Sunniva Tancred Thurstan Tiffin Tolliver
Torquhil Trelawny Tresilian Ulfric Undern Ursell Valdemar Vandeleur
Venetia Villiers Vortigern Wendreda Werburgh Wilfreda Wulfstan Wyndham
Ysolde Yvain Zephyrine Zinovia Zuleika
"""

RARE_NAMES: Final = tuple(_NAMES.split())
