package db

// AlwaysSave makes d put every fn between savepoints.
func AlwaysSave(d *DB) { d.alwaysSave.Store(true) }
