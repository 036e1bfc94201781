package csms_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"lumela/ocpp/v21"
)

// TestQuarantine: a defect of ours costs the message its place in the ledger, not its answer, and the operator can read it.
func TestQuarantine(t *testing.T) {
	onEach(t, func(t *testing.T, p *platform) {
		p.Tokens = nil // the defect: whatever asks for a decision panics
		s := p.booted(t, "S")
		token := &v21.IDToken{IDToken: "CARD", Type: "ISO14443"}
		for range 2 {
			resp := ask[*v21.TransactionEventResponse](s, transaction(v21.TransactionEventTypeStarted, "T", 0, 1000, token))
			if resp.IDTokenInfo == nil || resp.IDTokenInfo.Status != v21.AuthorizationStatusUnknown {
				t.Errorf("the answer is %+v", resp)
			}
		}
		ask[*v21.TransactionEventResponse](s, transaction(v21.TransactionEventTypeEnded, "T", 1, 1700, nil)) // what comes after is not blocked
		if got := p.session(t, "T"); got.EnergyWh() != 0 || len(got.Flags) == 0 {
			t.Errorf("the rest of the transaction: %d Wh %+v", got.EnergyWh(), got.Flags)
		}
		kept, err := p.Ledger.Quarantined(context.Background(), organisation, "S", time.Now().Add(time.Hour), "", 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range kept {
			if q.Action != "TransactionEvent" || !strings.Contains(q.Payload, `"CARD"`) || !strings.Contains(q.Reason, "panicked") {
				t.Errorf("%+v", q)
			}
		}
		if len(kept) == 0 {
			t.Error("nothing is in quarantine")
		}
	})
}
