"""Every constant of the peers' judgement, each with its unit and reason.

In: nothing. Out: constants. Never: River, a setting. `tuning.fingerprint` covers them.
"""

from __future__ import annotations

from typing import Final

PEER_NAME: Final = "peers"  # stands in anomaly records as the detector
PEER_VERSION: Final = 1
PEERS_MIN: Final = 8  # grown agents: fewer do not tell how much agents differ by nature
PEERS_WEIGHED_MAX: Final = 64  # of more agents so many quantiles are: their spread is known to 9 %, more say no more
PEER_FROM_WINDOWS: Final = 12.0  # closed windows from which an agent is a peer: those a series learns for
PEER_SILENT_WINDOWS: Final = 60  # windows of silence after which an agent is no peer any more
PEER_MATERIAL_RATIO: Final = 0.1  # agents differ by at least 10 %: so little more is no news to anyone
PEER_MATCH_SPREADS: Final = 2.0  # usual spreads of one agent's windows within which two levels are alike
PEER_DOF_MAX: Final = 12.0  # agents do not follow a normal law: the tail stays Student's, however many they are
DOF_MAX: Final = 30.0  # and so it does where the windows of one agent differ more than the agents
WINDOWS_ALIKE: Final = 3.0  # neighbouring windows say the same: n of them count as 1 + (n - 1) / 3
REJECTED_SHARE_MAX: Final = 0.125  # of the peers may be left out of their spread: one faulty agent of eight
REJECTED_SPREADS: Final = 6.0  # of the others, from their mean: of 8 normal agents one in a hundred lies so far off
EVENTS_THIN_MAX: Final = 100.0  # a window of fewer events than usual is widened by at most the root of this
HUSH_WINDOWS: Final = 10  # grown windows of silence after a peers' alarm: one event is one alarm
