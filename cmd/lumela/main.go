// Command lumela is the whole product: the node, its virtual stations and its tools.
package main

import (
	"os"

	"lumela/internal/app"
)

func main() { os.Exit(app.Main(os.Args[1:], os.Stdout, os.Stderr)) }
