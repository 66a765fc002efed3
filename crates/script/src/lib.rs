//! JavaScript that users write, in a sandbox: compiled once, run on threads of its own, with limits of time and memory.
