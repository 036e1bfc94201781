package account

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"lumela/internal/problem"
)

var update = flag.Bool("update", false, "write the table of roles into the documents")

const accessFile = "../../docs/access.md"

// TestTable: the table of roles in the documents is that of the code.
func TestTable(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(accessFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), "-update -->\n")
	_, after, ok2 := strings.Cut(rest, "<!-- end of the table -->")
	if !ok || !ok2 {
		t.Fatal("the document has no place for the table")
	}
	want := before + "-update -->\n" + table() + "<!-- end of the table -->" + after
	if *update {
		if err := os.WriteFile(accessFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Errorf("go test ./internal/account -run TestTable -update\n%s", diff)
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("| permission | lets |")
	for _, r := range Roles {
		b.WriteString(" " + string(r) + " |")
	}
	b.WriteString("\n| --- | --- |" + strings.Repeat(" --- |", len(Roles)) + "\n")
	for _, g := range Grants {
		b.WriteString("| `" + string(g.Permission) + "` | " + g.What + " |")
		for _, r := range Roles {
			b.WriteString(map[bool]string{true: " ✓ |", false: " |"}[r.Has(g.Permission)])
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestPermissionOf(t *testing.T) {
	t.Parallel()
	for op, want := range map[string]Permission{
		"GET /stations": StationsRead, "HEAD /stations": StationsRead, "DELETE /stations/{id}": StationsWrite, "POST /stations/{id}/commands/{action}": StationsCommand,
		"GET /commands/{id}": StationsRead, "POST /sessions/{id}/release": SessionsRelease, "POST /sessions/{id}/stop": StationsCommand,
		"POST /sessions/{id}/close": SessionsWrite, "GET /retention": InstallationManage, "POST /users": AccountsWrite, "GET /audit": AuditRead,
		"POST /auth/password": "", "GET /something": "something:read", "POST /something": "something:write", "GET /authors": "authors:read",
	} {
		method, path, _ := strings.Cut(op, " ")
		if got := PermissionOf(method, path); got != want {
			t.Errorf("%s needs %q, want %q", op, got, want)
		}
	}
	for _, r := range Roles {
		if got := r.Has("something:read"); got != (r == Owner) {
			t.Errorf("what nobody has put into the table: %s %t", r, got)
		}
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	s, err := scopesOf([]string{"tokens:write", "stations:read", "tokens:write"})
	if err != nil || s != "stations:read tokens:write" {
		t.Errorf("%q %v", s, err)
	}
	if _, err := scopesOf([]string{"stations:read", "stations:eat"}); problem.Of(err).Field != "scopes" {
		t.Errorf("an unknown scope: %v", err)
	}
	key := Principal{Role: Operator, Scopes: "stations:read accounts:write"}
	for what, want := range map[Permission]bool{StationsRead: true, StationsWrite: false, AccountsWrite: false} {
		if key.Can(what) != want {
			t.Errorf("%s: %t", what, !want)
		}
	}
	all, narrow := Principal{Role: Owner}, Principal{Role: Owner, Scopes: "accounts:read accounts:write tokens:read"}
	for _, c := range []struct {
		who    Principal
		role   Role
		scopes Scopes
		want   bool
	}{
		{all, Owner, "", true}, {narrow, Owner, "", false}, {narrow, Viewer, "", false}, {narrow, Viewer, "tokens:read", true},
		{narrow, Owner, "accounts:write tokens:read", true}, {narrow, Owner, "accounts:write audit:read", false}, {Principal{Role: Operator}, Owner, "", false},
	} {
		if got := c.who.covers(c.role, c.scopes); got != c.want {
			t.Errorf("%+v covers %s %q: %t", c.who, c.role, c.scopes, got)
		}
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	h := Guard(&huma.Operation{Method: http.MethodPost, Path: "/tokens"}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for name, c := range map[string]struct {
		p    *Principal
		want int
	}{
		"nobody": {nil, 418}, "owner": {&Principal{Role: Owner}, 418}, "operator": {&Principal{Role: Operator}, 418}, "technician": {&Principal{Role: Technician}, 403},
		"no role": {&Principal{}, 403}, "scoped": {&Principal{Role: Owner, Scopes: "tokens:write"}, 418}, "otherwise scoped": {&Principal{Role: Owner, Scopes: "tokens:read"}, 403},
		"one-time password": {&Principal{Role: Owner, mustChange: true}, 403},
	} {
		ctx := context.Background()
		if c.p != nil {
			ctx = With(ctx, *c.p)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/tokens", nil))
		if w.Code != c.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if _, err := May(t.Context(), TokensRead); !problem.Is(err, problem.Unauthorized) {
		t.Errorf("nobody: %v", err)
	}
	var e *problem.Error
	if _, err := May(With(t.Context(), Principal{Role: Finance}), TokensWrite); !errors.As(err, &e) || e.Kind != problem.Forbidden || !strings.Contains(e.Text, "finance") {
		t.Errorf("finance: %v", err)
	}
}

func TestReplayable(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"/api-keys", `{"id":"1","key":"k"}`, `{"id":"1"}`}, {"/users", `{"id":"1","password":"k"}`, `{"id":"1"}`}, {"/users/1", `{"password":"k"}`, `{}`},
		{"/webhooks", `{"id":"1","secret":"k"}`, `{"id":"1"}`}, {"/tokens", `{"key":"k"}`, `{"key":"k"}`}, {"/users", `no JSON`, `no JSON`}, {"/usersfoo", `{"key":"k"}`, `{"key":"k"}`},
	} {
		if got := string(Replayable(c[0], []byte(c[1]))); got != c[2] {
			t.Errorf("%s %s: %s", c[0], c[1], got)
		}
	}
}
