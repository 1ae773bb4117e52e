"""The rig of `test_keep_alive`: calls on which one stage fails, judged from the caller's tape."""
