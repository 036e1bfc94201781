package main

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"lumela/internal/tool/load"
)

func TestStatSurvivesOddNames(t *testing.T) {
	t.Parallel()
	line := "4242 (a) b (c) S 17 4242 4242 0 -1 4194560 1 2 3 4 150 50 7 3 20 0 9 0 1 2 3"
	own, ended, parent, err := parseStat([]byte(line))
	if err != nil || own != 2*time.Second || ended != 100*time.Millisecond || parent != 17 {
		t.Errorf("got %s, %s, %d, %v", own, ended, parent, err)
	}
	for _, broken := range []string{"", "1 (x", "1 (x) S 2", strings.Replace(line, "150", "x", 1)} {
		if _, _, _, err := parseStat([]byte(broken)); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
}

func TestBareServerEchoes(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(echoHandler())
	t.Cleanup(srv.Close)
	for _, v := range versions {
		s, err := load.ConnectEcho(strings.TrimPrefix(srv.URL, "http://"), "S", v)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		ok := func() error { return nil }
		res, err := load.Drive([]*load.Station{s}, []*load.Call{load.Heartbeat()}, load.Loop{Measure: 20 * time.Millisecond, Begin: ok, End: ok})
		if err != nil || res.Calls == 0 {
			t.Errorf("%s: %v", v, err)
		}
	}
}

func TestAimIsMetByEitherFigure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cpu, ratio float64
		want       string
	}{{19, 3, ": met"}, {25, 1.9, ": met"}, {25, 3, ": missed"}} {
		var b bytes.Buffer
		printCalls(&b, "title", []CallFigures{{Version: "1.6", CPU: c.cpu, Ratio: c.ratio, AimRatio: 2, AimCPU: 20}})
		if !strings.Contains(b.String(), c.want) {
			t.Errorf("%v us, %vx: not%s in\n%s", c.cpu, c.ratio, c.want, &b)
		}
	}
}
