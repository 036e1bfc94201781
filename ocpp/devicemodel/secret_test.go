package devicemodel

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSecret(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"AuthorizationKey", "BasicAuthPassword", "ApnPassword", "APNPassword", "VPN_Password", "VpnKey", "WiFi-Passphrase", "MqttSecret",
		"WifiPSK", "Vendor.Admin.Password2", "SimPin", "ApiKey", "privateKey"} {
		if !Secret(name) {
			t.Errorf("%s is a secret", name)
		}
	}
	for _, name := range []string{"", "HeartbeatInterval", "PublicKey", "PublicKeyWithSignedMeterValue", "MasterPassGroupId", "key", "PasswordLength", "MonkeyBusiness", "CpoName"} {
		if Secret(name) {
			t.Errorf("%s is no secret", name)
		}
	}
}

// TestRedact: secrets go, everything else stays to the byte. The secret of each text is HUSH.
func TestRedact(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`[3,"a",{"configurationKey":[{"key":"HeartbeatInterval","readonly":false,"value":"30"},{"value":"HUSH","readonly":false,"key":"AuthorizationKey"},{"key":"VPNPassword","readonly":false,"value":"HUSH"}]}]`,
		`[2,"a","ChangeConfiguration",{"key":"authorizationkey","value":"HUSH"}]`,
		`[2,"a","ChangeConfiguration",{"key":"\u0041uthorizationKey","value":"HUSH"}]`,
		`[2,"a","SetVariables",{"setVariableData":[{"attributeValue":"HUSH","component":{"name":"SecurityCtrlr"},"variable":{"name":"BasicAuthPassword"}},{"attributeValue":"keep","component":{"name":"C"},"variable":{"name":"V"}}]}]`,
		`[3,"a",{"getVariableResult":[{"attributeStatus":"Accepted","component":{"name":"NetworkConfiguration","instance":"1"},"variable":{"name":"ApnPassword"},"attributeValue":"HUSH"}]}]`,
		`[2,"a","NotifyReport",{"requestId":1,"generatedAt":"x","seqNo":0,"reportData":[{"component":{"name":"C"},"variable":{"name":"VpnKey"},"variableAttribute":[{"type":"Actual","value":"HUSH"},{"type":"Target","value":"HUSH"}]}]}]`,
		`[2,"a","NotifyEvent",{"eventData":[{"actualValue":"HUSH","component":{"name":"C"},"variable":{"name":"MySecret"}}]}]`,
		`[2,"a","SetNetworkProfile",{"configurationSlot":1,"connectionData":{"basicAuthPassword":"HUSH","vpn":{"server":"s","user":"u","key":"HUSH","password":"HUSH","type":"IPSec"},"apn":{"apn":"a","apnPassword" : "HUSH","simPin":7310}}}]`,
		`[2,"a","GetLog",{"log":{"remoteLocation":"ftp://user:HUSH@example.com/x@y"}}]`,
		`[2,"a","UpdateFirmware",{"location":"https://u:HU%20SH@h/f.bin"}]`,
		`[2,"a","ChangeConfiguration",{"key":"AuthorizationKey","value":"HUSH"`, // cut
		`{"key":"X` + strings.Repeat(`{"a":`, 100) + `"password":"HUSH"`,
	} {
		got := Redact(text)
		if strings.Contains(got, "HUSH") || strings.Contains(got, "7310") || strings.Contains(got, "SH@") {
			t.Errorf("the secret is still in\n%s", got)
		}
		if json.Valid([]byte(text)) && !json.Valid([]byte(got)) {
			t.Errorf("no JSON any more: %s", got)
		}
		for _, kept := range []string{`"value":"30"`, `"attributeValue":"keep"`, `"user":"u"`, `"server":"s"`, "example.com/x@y"} {
			if strings.Contains(text, kept) && !strings.Contains(got, kept) {
				t.Errorf("%s is lost in\n%s", kept, got)
			}
		}
	}
	for _, text := range []string{`[2,"a","Heartbeat",{}]`, `[3,"a",{"configurationKey":[{"key":"PublicKey1","readonly":true,"value":"04ab"}]}]`,
		`[2,"a","MeterValues",{"publicKey":"x","key":"y"}]`, `[2,"a","X",{"url":"https://example.com/?mail=a@b"}]`, `{"note":"my password is long","value":"v"}`, "", `\u`} {
		if got := Redact(text); got != text {
			t.Errorf("changed to %s\nfrom %s", got, text)
		}
	}
}

// TestRedactAnything: whatever the text, valid JSON stays valid and of the same shape, a second redaction changes nothing.
func TestRedactAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var value func(depth int) any
		names := rapid.SampledFrom([]string{"key", "value", "variable", "name", "password", "attributeValue", "variableAttribute", "a", "BasicAuthPassword"})
		value = func(depth int) any {
			switch k := rapid.IntRange(0, 5).Draw(t, "kind"); {
			case k == 0 && depth < 5:
				m := map[string]any{}
				for range rapid.IntRange(0, 4).Draw(t, "n") {
					m[names.Draw(t, "name")] = value(depth + 1)
				}
				return m
			case k == 1 && depth < 5:
				list := []any{}
				for range rapid.IntRange(0, 3).Draw(t, "n") {
					list = append(list, value(depth+1))
				}
				return list
			case k == 2:
				return rapid.IntRange(0, 9).Draw(t, "int")
			case k == 3:
				return nil
			}
			return names.Draw(t, "text")
		}
		raw, err := json.Marshal(value(0))
		if err != nil {
			t.Fatal(err)
		}
		once := Redact(string(raw))
		if !json.Valid([]byte(once)) {
			t.Fatalf("%s became %s", raw, once)
		}
		if twice := Redact(once); twice != once {
			t.Fatalf("%s became %s, then %s", raw, once, twice)
		}
	})
}

func FuzzRedact(f *testing.F) {
	f.Add(`{"key":"AuthorizationKey","value":"x"}`)
	f.Fuzz(func(t *testing.T, text string) {
		if got := Redact(text); json.Valid([]byte(text)) && !json.Valid([]byte(got)) {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	const text = `[2,"a","MeterValues",{"connectorId":1,"transactionId":5,"meterValue":[{"timestamp":"2026-01-01T00:00:00Z","sampledValue":[{"value":"12345","unit":"Wh","measurand":"Energy.Active.Import.Register"}]}]}]`
	for b.Loop() {
		Redact(text)
	}
}
