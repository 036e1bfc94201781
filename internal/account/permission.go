package account

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/problem"
)

// Permission is one thing that a role or a key may do, as AREA:VERB. The scopes of an API key are permissions.
type Permission string

// The permissions.
const (
	StationsRead       Permission = "stations:read"
	StationsWrite      Permission = "stations:write"
	StationsCommand    Permission = "stations:command"
	SessionsRead       Permission = "sessions:read"
	SessionsWrite      Permission = "sessions:write"
	SessionsRelease    Permission = "sessions:release"
	TokensRead         Permission = "tokens:read"
	TokensWrite        Permission = "tokens:write"
	OverviewRead       Permission = "overview:read"
	EventsRead         Permission = "events:read"
	InstallationRead   Permission = "installation:read"
	InstallationManage Permission = "installation:manage"
	AccountsRead       Permission = "accounts:read"
	AccountsWrite      Permission = "accounts:write"
	AuditRead          Permission = "audit:read"
	WebhooksRead       Permission = "webhooks:read"
	WebhooksWrite      Permission = "webhooks:write"
)

// Grant is a line of the table of roles.
type Grant struct {
	Permission Permission
	What       string // it lets do, in words
	Roles      []Role // that have it, beside the owner, who has all
}

var everyone = []Role{Operator, Technician, Finance, Viewer}

// Grants is the table of roles: what each may do. The API enforces it before an operation begins.
var Grants = []Grant{
	{StationsRead, "see stations, their history, frames, commands and reservations", everyone},
	{StationsWrite, "make, admit, configure and remove stations", []Role{Operator, Technician}},
	{StationsCommand, "send commands to stations, and stop sessions from afar", []Role{Operator, Technician}},
	{SessionsRead, "see sessions, their readings and what was wrong with them", everyone},
	{SessionsWrite, "close sessions whose station is gone", []Role{Operator}},
	{SessionsRelease, "release sessions that are held from billing", []Role{Operator, Finance}},
	{TokensRead, "see tokens", everyone},
	{TokensWrite, "make, change and remove tokens", []Role{Operator}},
	{OverviewRead, "see sums and histories", everyone},
	{EventsRead, "follow the stream of events", everyone},
	{InstallationRead, "see nodes and periodic work", everyone},
	{InstallationManage, "see what is kept for how long, and have sums made anew", nil},
	{AccountsRead, "see users and API keys", nil},
	{AccountsWrite, "invite, change and remove users; make and remove API keys", nil},
	{AuditRead, "read the audit log", nil},
	{WebhooksRead, "see webhooks and what was sent to them", nil},
	{WebhooksWrite, "make, change and remove webhooks, and send again", nil},
}

// Roles are all roles, in the order of the table.
var Roles = []Role{Owner, Operator, Technician, Finance, Viewer}

// Has reports whether the table gives a role the permission. What the table does not know only the owner may.
func (r Role) Has(p Permission) bool {
	if r == Owner {
		return true
	}
	i := slices.IndexFunc(Grants, func(g Grant) bool { return g.Permission == p })
	return i >= 0 && slices.Contains(Grants[i].Roles, r)
}

// Scopes narrow a key: permissions with a space between, in the order of the table; "" narrows nothing.
type Scopes string

// List gives the permissions.
func (s Scopes) List() []string { return strings.Fields(string(s)) }

// scopesOf checks a list of scopes.
func scopesOf(list []string) (Scopes, error) {
	var out []string
	for _, g := range Grants {
		if slices.Contains(list, string(g.Permission)) {
			out = append(out, string(g.Permission))
		}
	}
	for _, s := range list {
		if !slices.Contains(out, s) {
			return "", problem.Field("scopes", "%q is no scope; see the table of permissions", s)
		}
	}
	return Scopes(strings.Join(out, " ")), nil
}

// Can reports whether the principal has a permission: by its role, and by the scopes of its key when there are any.
func (p Principal) Can(what Permission) bool {
	return p.Role.Has(what) && (p.Scopes == "" || slices.Contains(p.Scopes.List(), string(what)))
}

// covers reports whether the principal has every permission that another one would have: nobody makes a stronger one.
func (p Principal) covers(role Role, scopes Scopes) bool {
	if p.Scopes == "" && p.Role == Owner {
		return true
	}
	other := Principal{Role: role, Scopes: scopes}
	if role == Owner && scopes == "" {
		return false
	}
	for _, g := range Grants {
		if other.Can(g.Permission) && !p.Can(g.Permission) {
			return false
		}
	}
	return true
}

// May gives the principal of a request when it has a permission.
func May(ctx context.Context, what Permission) (Principal, error) {
	p, err := From(ctx)
	if err != nil {
		return p, err
	}
	return p, p.refuse(what)
}

func (p Principal) refuse(what Permission) error {
	switch {
	case p.Can(what):
		return nil
	case p.Role.Has(what):
		return problem.New(problem.Forbidden, "this needs the scope %s, which the API key does not have", what)
	case p.Role == Viewer || p.Role == "":
		return problem.New(problem.Forbidden, "this needs a role with the permission %s; the role viewer only sees", what)
	}
	return problem.New(problem.Forbidden, "this needs the permission %s, which the role %s does not have", what, p.Role)
}

// areas say to what the first word of a path belongs.
var areas = map[string]string{
	"stations": "stations", "commands": "stations", "reservations": "stations",
	"sessions": "sessions", "quarantine": "sessions", "guardian": "sessions",
	"tokens": "tokens", "overview": "overview", "history": "overview", "events": "events",
	"jobs": "installation", "nodes": "installation",
	"users": "accounts", "api-keys": "accounts", "audit": "audit", "webhooks": "webhooks",
}

// special are the operations that need something else than reading or writing in their area.
var special = map[string]Permission{
	"POST /stations/{id}/commands/{action}": StationsCommand,
	"POST /sessions/{id}/stop":              StationsCommand,
	"POST /sessions/{id}/release":           SessionsRelease,
	"POST /history/rebuild":                 InstallationManage,
	"GET /retention":                        InstallationManage,
}

// PermissionOf is what an operation needs; path is that of the description, as /stations/{id}. It is "" for what concerns
// only the caller (/auth/…). Of a path that nobody has put into the table it is one that only the owner has.
func PermissionOf(method, path string) Permission {
	if p, ok := special[method+" "+path]; ok {
		return p
	}
	word, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if word == "auth" {
		return ""
	}
	verb := ":write"
	if !changes(method) {
		verb = ":read"
	}
	if area, ok := areas[word]; ok {
		return Permission(area + verb)
	}
	return Permission(word + verb)
}

// Guard lets only those come to an operation who may: it is where the table of roles is enforced. Who is not signed in
// passes, and hears from the operation that it must be.
func Guard(op *huma.Operation, next http.Handler) http.Handler {
	needs := PermissionOf(op.Method, op.Path)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := From(r.Context())
		if err == nil && needs != "" {
			err = p.refuse(needs)
			if p.mustChange {
				err = problem.New(problem.Forbidden, "the password is a one-time one: set your own first")
			}
			if err != nil {
				problem.WriteHTTP(w, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// Private reports whether requests to a path (that of the description) hold passwords or codes, so that nothing of them may be
// kept: not even a hash by which a repeated one is known.
func Private(path string) bool { return strings.HasPrefix(path, "/auth/") }

// shownOnce are the members of answers about accounts and webhooks that are not kept to be given again.
var shownOnce = []string{"password", "key", "secret"}

// Replayable is an answer as it may be kept to be given again: without what is shown only once.
func Replayable(path string, body []byte) []byte {
	word, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if word != "users" && word != "api-keys" && word != "webhooks" {
		return body
	}
	var answer map[string]json.RawMessage
	if json.Unmarshal(body, &answer) != nil {
		return body // it is no answer of these
	}
	for _, name := range shownOnce {
		delete(answer, name)
	}
	kept, err := json.Marshal(answer)
	if err != nil {
		return []byte("{}")
	}
	return kept
}
