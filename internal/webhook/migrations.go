package webhook

import "embed"

// Migrations make the tables of this package.
//
//go:embed migrations/*.sql
var Migrations embed.FS
