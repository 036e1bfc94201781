package apptest

import (
	"regexp"
	"testing"
)

// forbidden is what no error may tell a stranger: where our code is and what it is made of.
var forbidden = regexp.MustCompile(`(?i)goroutine \d|\.go:\d|runtime error|\bpanic\b|SQLSTATE|\bpq:|\bpgx\b|sqlite|SQL logic|constraint failed|no such table|relation "|` +
	`\bnats:|\bdial tcp\b|lumela/internal|/work/|context (canceled|deadline)|<nil>|%!\w?\(`)

// CheckLeak fails the test when an error answer tells what is nobody's business. Every error that passes through this package
// is looked at.
func CheckLeak(t testing.TB, where, text string) {
	t.Helper()
	if found := forbidden.FindString(text); found != "" {
		t.Errorf("%s: the answer tells %q: %.500s", where, found, text)
	}
}
