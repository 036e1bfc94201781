package cluster

import "embed"

// Migrations make the table of this package.
//
//go:embed migrations/*.sql
var Migrations embed.FS
