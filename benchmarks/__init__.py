"""Side by side with other libraries: ``python -m benchmarks``.

Every library runs in a process of its own and takes turns with the others on the same work, so that a change of the
machine's speed meets all of them. What counts are ratios within one run: to the best other library, and to what the
machine can do (``limits``), measured in the same turns.
"""
