"""The gRPC face for programs: `podling.cluster.v1`, over the same core as the REST face.

May live here: translation between messages and the core's calls. A rule about objects belongs into
`registry` or `strategies`, so that both faces keep it.
"""
