package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

//go:embed requirements.txt
var requirementsText string

//go:embed usecases.txt
var useCasesText string

//go:embed support.txt
var supportText string

// numbers are the requirement numbers of one use case in one document, as they
// are written, in order.
type numbers struct{ list []string }

func (n numbers) has(number string) bool { return slices.Contains(n.list, number) }

func (n *numbers) add(word string) error {
	first, last, ranged := strings.Cut(word, "-")
	if !ranged {
		last = first
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err1 != nil || err2 != nil || from > to {
		return fmt.Errorf("%q is no number and no range", word)
	}
	for i := from; i <= to; i++ {
		n.list = append(n.list, fmt.Sprintf("%0*d", len(first), i))
	}
	return nil
}

// catalogue is what exists. Documents are "1.6", "2.0.1", "2.1", "WP", and
// "J1.6", "J2.0.1", "J2.1" for the JSON part of each version.
type catalogue struct {
	requirements map[string]map[string]*numbers // document, use case
	sections     map[string]map[string]bool     // document, section
	parents      map[string]map[string]bool     // sections with listed sections below
}

func parseCatalogue(text string) (*catalogue, error) {
	c := &catalogue{
		requirements: map[string]map[string]*numbers{"2.0.1": {}, "2.1": {}, "WP": {}},
		sections:     map[string]map[string]bool{},
		parents:      map[string]map[string]bool{},
	}
	for i, line := range lines(text) {
		if line == "" {
			continue
		}
		if err := c.parseLine(strings.Fields(line)); err != nil {
			return nil, fmt.Errorf("requirements.txt:%d: %w", i+1, err)
		}
	}
	return c, nil
}

func (c *catalogue) parseLine(words []string) error {
	switch {
	case words[0] == "§" && len(words) > 2:
		for _, word := range words[2:] {
			if err := c.addSections(words[1], word); err != nil {
				return err
			}
		}
		return nil
	case words[0] == "WP" && len(words) > 2:
		n := &numbers{}
		c.requirements["WP"][words[1]] = n
		return n.addAll(words[2:])
	case len(words) > 1:
		return c.parseUseCase(words[0], words[1:])
	}
	return fmt.Errorf("%q says nothing", words[0])
}

func (c *catalogue) parseUseCase(id string, words []string) error {
	if c.requirements["2.1"][id] != nil {
		return fmt.Errorf("%s stands here twice", id)
	}
	before, after := words, []string(nil)
	if i := slices.Index(words, "|"); i >= 0 {
		before, after = words[:i], words[i+1:]
	}
	if len(before) > 0 {
		n := &numbers{}
		if err := n.addAll(before); err != nil {
			return err
		}
		c.requirements["2.0.1"][id] = n
	}
	n := &numbers{}
	c.requirements["2.1"][id] = n
	return n.addAll(append(slices.Clone(before), after...))
}

func (n *numbers) addAll(words []string) error {
	for _, word := range words {
		if err := n.add(word); err != nil {
			return err
		}
	}
	slices.Sort(n.list)
	return nil
}

// addSections lists a section, or a range that differs in the last number.
func (c *catalogue) addSections(document, word string) error {
	if c.sections[document] == nil {
		c.sections[document], c.parents[document] = map[string]bool{}, map[string]bool{}
	}
	first, last, ranged := strings.Cut(word, "-")
	if !ranged {
		last = first
	}
	above := parent(first)
	from, err1 := strconv.Atoi(strings.TrimPrefix(first, above+"."))
	to, err2 := strconv.Atoi(strings.TrimPrefix(last, above+"."))
	if err1 != nil || err2 != nil || parent(last) != above || from > to {
		return fmt.Errorf("%q is no section and no range", word)
	}
	for i := from; i <= to; i++ {
		section := strconv.Itoa(i)
		if above != "" {
			section = above + "." + section
		}
		c.sections[document][section] = true
	}
	c.parents[document][above] = true
	return nil
}

// hasSection reports whether a section is listed, or lies somewhere below a
// listed one whose own sections are not.
func (c *catalogue) hasSection(document, section string) bool {
	for s := section; s != ""; s = parent(s) {
		if c.sections[document][s] {
			return s == section || !c.parents[document][s]
		}
	}
	return false
}

func parent(section string) string {
	if i := strings.LastIndexByte(section, '.'); i >= 0 {
		return section[:i]
	}
	return ""
}

// useCase is a row of the coverage page.
type useCase struct {
	id, title string
	legacy    []string // sections of 1.6, or whitepaper use cases as WP.A01
}

func parseUseCases(text string, c *catalogue) ([]useCase, error) {
	var cases []useCase
	for i, line := range lines(text) {
		if line == "" {
			continue
		}
		fields := strings.Split(line, "|")
		if len(fields) != 3 {
			return nil, fmt.Errorf("usecases.txt:%d: want three fields", i+1)
		}
		u := useCase{id: strings.TrimSpace(fields[0]), title: strings.TrimSpace(fields[2])}
		for _, word := range strings.Fields(fields[1]) {
			id, whitepaper := strings.CutPrefix(word, "WP.")
			switch {
			case word == "-":
				continue
			case whitepaper && c.requirements["WP"][id] == nil, !whitepaper && !c.hasSection("1.6", word):
				return nil, fmt.Errorf("usecases.txt:%d: 1.6 has no %s", i+1, word)
			}
			u.legacy = append(u.legacy, word)
		}
		if c.requirements["2.1"][u.id] == nil {
			return nil, fmt.Errorf("usecases.txt:%d: requirements.txt has no %s", i+1, u.id)
		}
		cases = append(cases, u)
	}
	return cases, nil
}

const unsupported = "not supported"

// parseSupport reads the hand-kept judgements.
func parseSupport(text string, c *catalogue) (map[string]string, error) {
	support := map[string]string{}
	for i, line := range lines(text) {
		if line == "" {
			continue
		}
		id, state, _ := strings.Cut(line, " ")
		state = strings.TrimSpace(state)
		missing, partial := strings.CutPrefix(state, "partial: ")
		switch {
		case c.requirements["2.1"][id] == nil:
			return nil, fmt.Errorf("support.txt:%d: there is no use case %q", i+1, id)
		case support[id] != "":
			return nil, fmt.Errorf("support.txt:%d: %s stands here twice", i+1, id)
		case state != "supported" && state != "stored" && state != unsupported && (!partial || strings.TrimSpace(missing) == ""):
			return nil, fmt.Errorf("support.txt:%d: %q is none of: supported, stored, partial: what is missing, not supported", i+1, state)
		}
		support[id] = state
	}
	return support, nil
}

// lines gives the lines of a text, those that are comments as empty ones.
func lines(text string) []string {
	all := strings.Split(text, "\n")
	for i, line := range all {
		all[i] = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			all[i] = ""
		}
	}
	return all
}
