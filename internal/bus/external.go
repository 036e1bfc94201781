package bus

// External reports whether the bus is a server outside the process, so that other nodes may listen.
func (b *Bus) External() bool { return b.server == nil }
