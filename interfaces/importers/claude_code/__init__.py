"""Claude Code transcripts -> activity events.

In: transcript files. Out: activities of sessions, turns, agents, model calls and tool calls. Never: any text content.
"""
