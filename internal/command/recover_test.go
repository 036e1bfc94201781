package command

import (
	"context"
	"strings"
	"testing"
	"time"

	"lumela/internal/account"
	"lumela/internal/station"
	"lumela/ocpp"
)

// TestRecover: what was on its way when the program ended is told as unclear, what waited too long as expired, and neither
// keeps a payload that carries a secret.
func TestRecover(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		soon := time.Now().Add(time.Hour)
		for id, c := range map[string]Command{"sent": {Status: Sent, ExpiresAt: soon}, "late": {Status: Queued, ExpiresAt: time.Now().Add(-time.Second)},
			"waits": {Status: Queued, ExpiresAt: soon}} {
			c.ID, c.Organisation, c.Station, c.Action, c.CreatedAt = id, "o", "CP", "SetVariables", time.Now()
			must(t, w.add(ctx, &c, `{"setVariableData":[{"attributeValue":"a-very-secret-password","component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}}]}`))
		}
		must(t, w.Recover(ctx, ""))
		must(t, w.Expire(ctx))
		for id, want := range map[string]Status{"sent": Unclear, "late": Expired, "waits": Queued} {
			var status, request string
			must(t, w.db.QueryRow(ctx, `SELECT status, request FROM commands WHERE id = $1`, id).Scan(&status, &request))
			if Status(status) != want {
				t.Errorf("%s is %s, want %s", id, status, want)
			}
			if kept := strings.Contains(request, "a-very-secret"); kept != (want == Queued) {
				t.Errorf("%s: the secret is kept: %t", id, kept)
			}
		}
	})
}

// TestUnderWay: a command that is not to be queued is kept without its secrets from the first moment on.
func TestUnderWay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		var during string
		w.observe = func(ctx context.Context, _ string, _ station.ID, _ ocpp.Request, _ ocpp.Response) error {
			return w.db.QueryRow(ctx, `SELECT request FROM commands WHERE action = 'SetVariables'`).Scan(&during)
		}
		_, _, err := w.Send(t.Context(), account.System(org), Order{Station: "S", Request: secretOrder()})
		must(t, err)
		secret := secretOrder().SetVariableData[0].AttributeValue
		if during == "" || strings.Contains(during, secret) {
			t.Errorf("kept while under way: %q", during)
		}
	})
}
