package app_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lumela/internal/app/apptest"
)

// TestStories plays the dialogues of testdata/stories, each against a node of its own. A line is one of
//
//	# a comment
//	admission open|closed|approve       before anything else; open by default
//	connect ID VERSION [password]       the station that the lines after it speak for
//	refused ID VERSION STATUS [password]
//	@ID                                 go on with another connected station
//	> FRAME                             the station sends it
//	< FRAME                             the station must receive it next, see apptest.Match
//	quiet                               the node has nothing more to say
//	cut                                 the connection breaks
//	closed CODE                         the node closes the link
//	api METHOD PATH [BODY] => STATUS [PATTERN]
//	begin NAME METHOD PATH [BODY]       a request that waits for what follows
//	end NAME => STATUS [PATTERN]        its answer
//	on postgres                         plays the story on PostgreSQL too
//
// ${now}, ${now-30s} and ${now+1h} are times; ${NAME} is what a pattern has captured as <id:NAME>. A GET is repeated until
// its answer matches, since some things happen a moment after an answer. A line that begins with a blank continues the
// line before it.
func TestStories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("only %d stories", len(files))
	}
	for _, file := range files {
		lines := readStory(t, file)
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			(&story{t: t, file: file}).play(lines)
		})
		for _, l := range lines {
			if l.text == "on postgres" {
				t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/postgres", func(t *testing.T) {
					t.Parallel()
					(&story{t: t, file: file, options: []apptest.Option{apptest.OnPostgres()}}).play(lines)
				})
			}
		}
	}
}

type storyLine struct {
	number int
	text   string
}

func readStory(t *testing.T, file string) []storyLine {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only read
	var lines []storyLine
	scanner := bufio.NewScanner(f)
	for n := 1; scanner.Scan(); n++ {
		text := scanner.Text()
		switch {
		case strings.TrimSpace(text) == "" || strings.HasPrefix(text, "#"):
		case strings.HasPrefix(text, " ") && len(lines) > 0:
			lines[len(lines)-1].text += strings.TrimSpace(text)
		default:
			lines = append(lines, storyLine{n, strings.TrimSpace(text)})
		}
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// story is one dialogue while it is played.
type story struct {
	t       *testing.T
	file    string
	options []apptest.Option

	node     *apptest.Node
	stations map[string]*apptest.Station
	current  *apptest.Station
	pending  map[string]*apptest.Pending
	captured map[string]string
	line     storyLine
}

func (s *story) play(lines []storyLine) {
	s.stations, s.pending, s.captured = map[string]*apptest.Station{}, map[string]*apptest.Pending{}, map[string]string{}
	began := time.Now()
	for _, s.line = range lines {
		if policy, ok := strings.CutPrefix(s.line.text, "admission "); ok {
			s.options = append(s.options, apptest.Admission(policy))
			continue
		}
		if s.node == nil {
			s.node = apptest.Start(s.t, s.options...)
		}
		s.step(expand(s.line.text, s.captured, began))
	}
}

// fail stops the story at its line.
func (s *story) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s:%d: %s\n%s", s.file, s.line.number, s.line.text, fmt.Sprintf(format, args...))
}

func (s *story) step(text string) {
	s.t.Helper()
	verb, rest, _ := strings.Cut(text, " ")
	words := strings.Fields(rest)
	switch {
	case text == "on postgres":
	case verb == "connect":
		s.connect(words)
	case verb == "refused":
		s.refused(words)
	case strings.HasPrefix(verb, "@"):
		if s.current = s.stations[verb[1:]]; s.current == nil {
			s.fail("no such station")
		}
	case verb == "api":
		s.api(rest)
	case verb == "begin":
		name, request, _ := strings.Cut(rest, " ")
		method, path, body := splitRequest(request)
		s.pending[name] = s.node.Begin(method, path, body)
	case verb == "end":
		name, want, _ := strings.Cut(rest, " => ")
		p := s.pending[strings.TrimSpace(name)]
		if p == nil {
			s.fail("no request of this name was begun")
		}
		if err := s.check(p.Wait(s.t), want); err != nil {
			s.fail("%v", err)
		}
	case s.current == nil:
		s.fail("no station is connected")
	default:
		s.speak(verb, rest)
	}
}

func (s *story) speak(verb, rest string) {
	s.t.Helper()
	switch verb {
	case ">":
		s.current.Send(rest)
	case "<":
		got := s.current.Next()
		found, err := apptest.Match(rest, got)
		if err != nil {
			s.fail("%v\n got %s", err, got)
		}
		s.keep(found)
	case "quiet":
		s.current.Quiet()
	case "cut":
		s.current.Cut()
	case "closed":
		if code, reason := s.current.WaitClosed(); strconv.Itoa(code) != rest {
			s.fail("closed with %d %s", code, reason)
		}
	default:
		s.fail("unknown word %q", verb)
	}
}

func (s *story) keep(found map[string]string) {
	for name, value := range found {
		s.captured[name] = value
	}
}

func (s *story) connect(words []string) {
	s.t.Helper()
	var d apptest.Dial
	if len(words) > 2 {
		d.Password = words[2]
	}
	s.current = s.node.Dial(s.t, words[0], words[1], d)
	s.stations[words[0]] = s.current
}

func (s *story) refused(words []string) {
	s.t.Helper()
	var d apptest.Dial
	if len(words) > 3 {
		d.Password = words[3]
	}
	if resp := s.node.Refused(s.t, words[0], words[1], d); strconv.Itoa(resp.StatusCode) != words[2] {
		s.fail("refused with %s", resp.Status)
	}
}

func splitRequest(text string) (method, path, body string) {
	method, text, _ = strings.Cut(text, " ")
	path, body, _ = strings.Cut(text, " ")
	return method, path, strings.TrimSpace(body)
}

func (s *story) api(text string) {
	s.t.Helper()
	request, want, ok := strings.Cut(text, " => ")
	if !ok {
		s.fail("what is the answer?")
	}
	method, path, body := splitRequest(request)
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := s.check(s.node.Do(s.t, method, path, body), want)
		if err == nil {
			return
		}
		if method != "GET" || time.Now().After(deadline) {
			s.fail("%v", err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (s *story) check(r apptest.Response, want string) error {
	status, pattern, _ := strings.Cut(strings.TrimSpace(want), " ")
	if strconv.Itoa(r.Status) != status {
		return fmt.Errorf("status %d\n%s", r.Status, r.Body)
	}
	if pattern == "" {
		return nil
	}
	found, err := apptest.Match(pattern, r.Body)
	if err != nil {
		return fmt.Errorf("%w\n got %s", err, r.Body)
	}
	s.keep(found)
	return nil
}

// expand puts times and captured texts in the place of their names.
func expand(text string, captured map[string]string, now time.Time) string {
	return os.Expand(text, func(name string) string {
		offset, isTime := strings.CutPrefix(name, "now")
		if !isTime {
			return captured[name]
		}
		d := time.Duration(0)
		if offset != "" {
			d, _ = time.ParseDuration(offset) // a slip shows as a time that does not match
		}
		return now.Add(d).UTC().Format("2006-01-02T15:04:05Z")
	})
}
