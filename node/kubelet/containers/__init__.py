"""What a container is given: configuration, arguments, environment, references. Pure.

From a pod's spec, its ConfigMaps and Secrets, and the node's facts to the values that CRI wants.
May live here: whatever follows from those alone. Reading the objects and writing files is done by
`volumes` and `pods`.
"""
