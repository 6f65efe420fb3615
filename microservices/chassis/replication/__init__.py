"""How branches tell each other what happened: senders and the door for what they send.

`relay` and `sink` carry the outbox to a peer, `door` takes what a peer sent, `shared` decides who
edited last, `state` is what this branch knows of itself and of its peers.
"""
