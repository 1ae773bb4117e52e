"""The live shell: one task group a call around the machines of `core`.

`worker`   what all calls of a process share: the pacer, the stages, the router.
`session`  one call: facts in, acts out.
`ear`      the caller's audio: recorder tap, voice activity, the utterance that is open.
`listen`   one utterance through the recognisers of the route.
`think`    one model step through the attempts machine.
`speak`    sentences through the synthesisers of the route.
`voice`    the agent's audio on its way to the carrier, paced by the worker's one pacer.
"""
