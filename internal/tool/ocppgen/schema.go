package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// node is the part of JSON Schema that the official OCPP files use.
type node struct {
	Ref         string      `json:"$ref"`
	Type        string      `json:"type"`
	Format      string      `json:"format"`
	Enum        []string    `json:"enum"`
	Properties  properties  `json:"properties"`
	Required    []string    `json:"required"`
	Items       *node       `json:"items"`
	Definitions properties  `json:"definitions"`
	MaxLength   int         `json:"maxLength"`
	MinItems    int         `json:"minItems"`
	MaxItems    int         `json:"maxItems"`
	Minimum     *float64    `json:"minimum"`
	Maximum     *float64    `json:"maximum"`
	MultipleOf  *float64    `json:"multipleOf"`
	Additional  *jsonOrBool `json:"additionalProperties"`
}

type jsonOrBool struct{ no bool }

func (j *jsonOrBool) UnmarshalJSON(b []byte) error {
	j.no = string(b) == "false"
	return nil
}

// properties keeps the order of the file, so that generated structs read as the schema does.
type properties struct {
	names []string
	nodes map[string]*node
}

func (p *properties) UnmarshalJSON(b []byte) error {
	p.nodes = map[string]*node{}
	dec := json.NewDecoder(bytes.NewReader(b))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var n node
		if err := dec.Decode(&n); err != nil {
			return fmt.Errorf("%v: %w", key, err)
		}
		name := key.(string)
		p.names = append(p.names, name)
		p.nodes[name] = &n
	}
	return nil
}

// action is one entry of the index of the schema collection.
type action struct {
	Name     string
	From     string // CS, CSMS or both
	Request  *node
	Response *node // nil for a SEND
}

// readActions reads the index and every schema of one version, sorted by action.
func readActions(dir, version string) ([]action, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return nil, err
	}
	var index map[string]json.RawMessage
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	entries, err := indexEntries(index[version])
	if err != nil {
		return nil, fmt.Errorf("index.json, %s: %w", version, err)
	}
	for i := range entries {
		a := &entries[i]
		if a.Request, err = readSchema(dir, version, a.Name+"Request.json"); err != nil {
			if a.Request, err = readSchema(dir, version, a.Name+".json"); err != nil {
				return nil, err
			}
			continue
		}
		if a.Response, err = readSchema(dir, version, a.Name+"Response.json"); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(entries, func(a, b action) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

func indexEntries(raw json.RawMessage) ([]action, error) {
	var byName map[string]struct {
		From string `json:"from"`
	}
	if err := json.Unmarshal(raw, &byName); err != nil {
		return nil, err
	}
	var out []action
	for name, e := range byName {
		out = append(out, action{Name: name, From: e.From})
	}
	return out, nil
}

func readSchema(dir, version, file string) (*node, error) {
	raw, err := os.ReadFile(filepath.Join(dir, version, file))
	if err != nil {
		return nil, err
	}
	var n node
	if err := json.Unmarshal(bytes.TrimPrefix(raw, []byte("\ufeff")), &n); err != nil {
		return nil, fmt.Errorf("%s/%s: %w", version, file, err)
	}
	return &n, nil
}
