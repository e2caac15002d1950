"""The HTTP door: touchpoints in, views out. It knows the transport, and asks the rooms below."""
