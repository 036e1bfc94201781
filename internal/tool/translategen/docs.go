package main

import "errors"

func writeDocs(string) error { return errors.New("not yet") }
