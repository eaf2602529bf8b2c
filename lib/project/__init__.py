"""The project and the machine around a run: paths, locks, registry, trust, plug-ins and the files that ship."""
