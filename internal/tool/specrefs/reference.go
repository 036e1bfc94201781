package main

import (
	"fmt"
	"regexp"
	"strings"
)

// reference is a place in the specifications that the code names.
type reference struct {
	document string // as in catalogue; "Part 2 of 2.1" where only the form is checked
	useCase  string // "" for a section
	number   string // "" for a use case as a whole
	section  string
}

func (r reference) String() string {
	switch {
	case r.useCase == "":
		return r.document + " §" + r.section
	case r.number == "":
		return r.document + " " + r.useCase
	case r.useCase == "General":
		return r.document + " FR." + r.number
	case r.useCase == "V2X":
		return r.document + " V2X." + r.number
	default:
		return r.document + " " + r.useCase + ".FR." + r.number
	}
}

// mention is a reference in a text, or the reason why something that looks
// like one is none.
type mention struct {
	reference
	offset  int
	problem string
}

var (
	// A document, perhaps a part, and the word that follows.
	opening = regexp.MustCompile(`\b(?:(OCPP-J|OCPP)\s+(\d+(?:\.\d+)+)\s+(?:Part\s+(\d+)\s+)?|WP\s+)(§\s*[^\s,;()\[\]]+|[^\s,;()\[\]]+)`)
	// More of the same document.
	more = regexp.MustCompile(`^(?:,|,? and|,? or)\s+((?:[A-Z]\d{2}\.FR\.\d+|§\d+(?:\.\d+)*))`)

	requirementForm = regexp.MustCompile(`^(?:([A-Z]\d{2})\.)?FR\.(\d{2,3})$`)
	vehicleForm     = regexp.MustCompile(`^V2X\.(\d{2})$`)
	useCaseForm     = regexp.MustCompile(`^[A-Z]\d{2}$`)
	sectionForm     = regexp.MustCompile(`^§?(\d+(?:\.\d+)*)$`)

	looksLikeRequirement = regexp.MustCompile(`(?i)^(?:[A-Z]\d+\W*FR|FR\W?\d|V2X\W\d)|^[A-Z]\d{2}$`)
	looksLikeSection     = regexp.MustCompile(`^(?:§|\d+\.\d)`)
	bare                 = regexp.MustCompile(`\b[A-Z]\d{2}\.FR\.\d+`)
)

// mentions finds every reference in a text, in order.
func mentions(text string, c *catalogue) []mention {
	var found []mention
	covered := 0 // bare ids before this offset belong to a reference
	for start := 0; ; {
		m := opening.FindStringSubmatchIndex(text[start:])
		if m == nil {
			return append(found, unversioned(text, covered, len(text))...)
		}
		group := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return text[start+m[2*i] : start+m[2*i+1]]
		}
		at, end := start+m[0], start+m[8]+len(trimmed(group(4)))
		token, name := trimmed(group(4)), document(group(1), group(2), group(3))
		if !isReference(token, group(3) != "") {
			start += m[8] // the word may open a reference itself
			continue
		}
		found = append(found, unversioned(text, covered, at)...)
		found = append(found, c.judge(name, token, at))
		for {
			n := more.FindStringSubmatchIndex(text[end:])
			if n == nil {
				break
			}
			found = append(found, c.judge(name, text[end+n[2]:end+n[3]], end+n[2]))
			end += n[1]
		}
		start, covered = end, end
	}
}

// unversioned finds requirement numbers that do not say of which document.
func unversioned(text string, from, to int) []mention {
	var found []mention
	for _, m := range bare.FindAllStringIndex(text[from:to], -1) {
		found = append(found, mention{offset: from + m[0], problem: fmt.Sprintf("%s: say of which version: OCPP 2.1 %[1]s", text[from+m[0]:from+m[1]])})
	}
	return found
}

// document names the document in the catalogue's words.
func document(name, version, part string) string {
	switch {
	case name == "":
		return "WP"
	case name == "OCPP-J" && part == "", part == "4" && name == "OCPP":
		return "J" + version
	case part != "":
		return "Part " + part + " of " + version
	}
	return version
}

func isReference(token string, part bool) bool {
	return looksLikeSection.MatchString(token) || looksLikeRequirement.MatchString(token) || part && token != "" && token[0] >= '0' && token[0] <= '9'
}

func trimmed(token string) string { return strings.TrimRight(token, ".,:;!?'\"`*") }

// judge says what a token refers to, and whether that exists.
func (c *catalogue) judge(name, token string, offset int) mention {
	m := mention{offset: offset, reference: reference{document: name}}
	if s := sectionForm.FindStringSubmatch(token); s != nil {
		m.section = s[1]
		m.problem = c.judgeSection(name, s[1])
		return m
	}
	switch r, v := requirementForm.FindStringSubmatch(token), vehicleForm.FindStringSubmatch(token); {
	case r != nil && r[1] == "":
		m.useCase, m.number = "General", r[2]
	case r != nil:
		m.useCase, m.number = r[1], r[2]
	case v != nil:
		m.useCase, m.number = "V2X", v[1]
	case useCaseForm.MatchString(token):
		m.useCase = token
	default:
		m.problem = fmt.Sprintf("%q is no requirement (E02.FR.05), use case (E02) or section (§4.8)", token)
		return m
	}
	known := c.requirements[name]
	switch {
	case known == nil:
		m.problem = fmt.Sprintf("%q: requirements have numbers in OCPP 2.0.1, OCPP 2.1 and WP only", m.String())
	case known[m.useCase] == nil:
		m.problem = fmt.Sprintf("%q: there is no such use case", m.String())
	case m.number != "" && !known[m.useCase].has(m.number):
		m.problem = fmt.Sprintf("%q: there is no such requirement", m.String())
	}
	return m
}

func (c *catalogue) judgeSection(name, section string) string {
	if part, version, ok := strings.Cut(strings.TrimPrefix(name, "Part "), " of "); ok {
		if (version == "2.0.1" || version == "2.1") && (part == "1" || part == "2") {
			return "" // these are checked for their form only
		}
		return fmt.Sprintf("%q: references go to parts 1, 2 and 4 of 2.0.1 and 2.1", name)
	}
	switch {
	case name == "2.0.1" || name == "2.1":
		return fmt.Sprintf("section %s of OCPP %s: say of which part", section, name)
	case c.sections[name] == nil:
		return fmt.Sprintf("%q is no known document", name)
	case !c.hasSection(name, section):
		return fmt.Sprintf("%s has no section %s", name, section)
	}
	return ""
}
