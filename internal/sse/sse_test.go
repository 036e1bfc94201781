package sse_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"lumela/internal/problem"
	"lumela/internal/sse"
)

type thing struct {
	Name string `json:"name"`
}

func serve(t *testing.T, open func(ctx context.Context, in *struct{}) (func(context.Context, *sse.Writer) error, error)) (*httptest.Server, huma.API) {
	t.Helper()
	mux := http.NewServeMux()
	api := humago.New(mux, huma.DefaultConfig("test", "1"))
	sse.Register(api, huma.Operation{OperationID: "things", Method: http.MethodGet, Path: "/things"}, map[string]any{"thing": thing{}}, open)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv, api
}

func TestStream(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	srv, api := serve(t, func(context.Context, *struct{}) (func(context.Context, *sse.Writer) error, error) {
		return func(ctx context.Context, w *sse.Writer) error {
			if err := errors.Join(w.Alive(), w.Event("7", "thing", thing{"two\nlines"}), w.Event("", "thing", thing{"no id"})); err != nil {
				return err
			}
			if err := w.Event("8", "thing", make(chan int)); err == nil {
				t.Error("what has no JSON form was sent")
			}
			<-ctx.Done()
			ended <- ctx.Err()
			return ctx.Err()
		}, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/things", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	want := ": still here\n\nid: 7\nevent: thing\ndata: {\"name\":\"two\\nlines\"}\n\nevent: thing\ndata: {\"name\":\"no id\"}\n\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(bufio.NewReader(resp.Body), got); err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the stream ended with %v", err)
	}
	spec, err := json.Marshal(api.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"text/event-stream"`, `"x-events":{"thing":`} {
		if !strings.Contains(string(spec), part) {
			t.Errorf("the description lacks %s", part)
		}
	}
}

// What is wrong before the stream begins is an ordinary answer.
func TestRefused(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, func(context.Context, *struct{}) (func(context.Context, *sse.Writer) error, error) {
		return nil, problem.New(problem.NotFound, "no such thing")
	})
	resp, err := http.Get(srv.URL + "/things")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 404 || resp.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(string(body), "no such thing") {
		t.Errorf("got %d %s: %s", resp.StatusCode, resp.Header.Get("Content-Type"), body)
	}
}
