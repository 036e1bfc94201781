package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"lumela/internal/app/apptest"
)

// platformTests are the stimuli of the families that concern what stands behind the links: S (security of the platform), K
// (certificates and firmware), E (energy), L (large reports and lists), G (between platforms).
var platformTests = map[string]func(t *testing.T, f *fault){
	"S01": faultOCSP, "S04": faultURLs, "S06": faultOtherTenant, "S07": faultPublic, "S09": faultSecretsTold, "S12": faultHashCost,
	"S13": faultGuessedTransactions, "K01": faultBadCSR, "K05": faultManyCSRs, "K08": faultFirmwareStatus, "E09": faultTxProfile, "E10": faultPull,
	"L02": faultLongReport, "L03": faultLongList, "G02": faultSameIDs, "G04": faultNoEquivalent,
}

// platformUncovered is what the file asks for and the platform has no part for yet, with what it does instead.
var platformUncovered = map[string]string{
	"S03": "no files are taken in: the platform has no address for uploads, a station sends its logs where the operator says",
	"S10": "played with the credentials: both passwords open until the station shows which one it has (internal/station/rotate.go)",
	"K02": "no certificate is ever sent, since there is no authority: every SignCertificate is Rejected, which K01 plays",
	"K04": "no request is ever accepted, so that none can be left without its certificate",
	"K07": "images are not kept here: the operator names the address of an image, its signature and its signing certificate, which go to the station as they are",
	"K10": "which firmware is older than another is known to a catalogue of images, which there is none of",
	"E01": "no limit of a site is kept yet, so that there is no capacity to reserve; the station's answer is told to the caller as it came",
	"E03": "as E01", "E04": "as E01", "E06": "as E01", "E12": "no price or grid signal is taken in yet", "E13": "as E01",
	"E07": "as E01; a profile that an operator sends keeps its unit, and the station's refusal is told to him",
	"G01": "the platform is nobody's station yet: there is no back-end above it whose end could matter",
}

// TestPlatformFaults plays the cases of the families S, K, E, L and G, each with a lenient and a strict station.
func TestPlatformFaults(t *testing.T) {
	t.Parallel()
	nodes := newFaultNodes(t)
	for _, c := range readFaults(t) {
		if !slices.Contains([]string{"S", "K", "E", "L", "G"}, c.ID[:1]) {
			continue
		}
		play := platformTests[c.ID]
		if (play == nil) == (platformUncovered[c.ID] == "") {
			t.Errorf("%s needs a test, or the reason why there is none: %s", c.ID, c.Stimulus)
			continue
		}
		if play == nil {
			continue
		}
		for _, version := range []string{"1.6", "2.0.1", "2.1"} {
			if c.behaviour(version) == "n/a" {
				continue
			}
			for _, mode := range []string{"lenient", "strict"} {
				t.Run(c.ID+"/"+version+"/"+mode, func(t *testing.T) {
					t.Parallel()
					play(t, &fault{faultCase: c, faultNodes: nodes, version: version, strict: mode == "strict"})
				})
			}
		}
	}
}

// TestPlatformFaultListIsTrue keeps the lists above from naming cases that do not exist.
func TestPlatformFaultListIsTrue(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, c := range readFaults(t) {
		known[c.ID] = true
	}
	for id := range platformTests {
		if !known[id] {
			t.Errorf("%s is tested, but the file has no such case", id)
		}
	}
	for id := range platformUncovered {
		if !known[id] {
			t.Errorf("%s: no such case", id)
		}
	}
}

// command sends a command and gives the answer of the API; play answers as the station, in its version.
func (f *fault) command(t *testing.T, s *apptest.Station, action, payload string, play func(id, frame string)) apptest.Response {
	t.Helper()
	p := f.open().Begin("POST", "/stations/"+s.ID+"/commands/"+action+"?wait=15s", payload)
	frame := s.Next()
	play(frameID(t, frame), frame)
	return p.Wait(t)
}

func frameID(t *testing.T, frame string) string {
	t.Helper()
	var parts []json.RawMessage
	var id string
	if err := json.Unmarshal([]byte(frame), &parts); err != nil || len(parts) < 3 || json.Unmarshal(parts[1], &id) != nil {
		t.Fatalf("no frame of OCPP: %s", frame)
	}
	return id
}

func frameAction(t *testing.T, frame string) string {
	t.Helper()
	var parts []json.RawMessage
	var action string
	if err := json.Unmarshal([]byte(frame), &parts); err != nil || len(parts) < 4 || json.Unmarshal(parts[2], &action) != nil {
		t.Fatalf("no call of OCPP: %s", frame)
	}
	return action
}

// listener counts who connects to an address of this machine.
func listener(t *testing.T) (url string, count *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	count = &atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			_ = c.Close()
		}
	}()
	return "http://" + l.Addr().String() + "/", count
}

func faultOCSP(t *testing.T, f *fault) {
	here, count := listener(t)
	s := f.station(t)
	for i, url := range []string{"http://169.254.169.254/", here, here + "latest/meta-data", "file:///etc/passwd", "http://[::1]/", "gopher://127.0.0.1:1/"} {
		id := fmt.Sprint("o", i)
		s.Ask(call(id, "GetCertificateStatus", `{"ocspRequestData":{"hashAlgorithm":"SHA256","issuerNameHash":"a","issuerKeyHash":"b","serialNumber":"1","responderURL":"`+url+`"}}`),
			`[3,"`+id+`",{"status":"Failed","statusInfo":"<any>"}]`)
	}
	if f.version == "2.1" {
		s.Ask(call("c", "GetCertificateChainStatus", `{"certificateStatusRequests":[{"certificateHashData":{"hashAlgorithm":"SHA256","issuerNameHash":"a","issuerKeyHash":"b","serialNumber":"1"},"source":"OCSP","urls":["`+here+`"]}]}`),
			`[3,"c",{"certificateStatus":[{"certificateHashData":"<any>","source":"OCSP","status":"Failed","nextUpdate":"<time>"}]}]`)
	}
	s.Quiet()
	if n := count.Load(); n != 0 {
		t.Errorf("the responder was asked %d times", n)
	}
}

// faultURLs: the only address that a station is ever given is the one that an operator typed, and the password in it is
// shown to nobody else.
func faultURLs(t *testing.T, f *fault) {
	s := f.station(t)
	s.Quiet()
	var list struct {
		Items []struct{ Direction, Text string }
	}
	f.open().Get(t, "/stations/"+s.ID+"/frames?limit=1000", &list)
	for _, frame := range list.Items {
		if frame.Direction == "out" && strings.Contains(frame.Text, "://") {
			t.Errorf("the node gave an address: %s", frame.Text)
		}
	}
	const url = "ftp://fetcher:hush-hush@files.example/fw.bin"
	r := f.command(t, s, "UpdateFirmware", `{"requestId":1,"firmware":{"location":"`+url+`","retrieveDateTime":"2030-01-01T00:00:00Z"}}`, func(id, frame string) {
		if !strings.Contains(frame, `"location":"`+url+`"`) {
			t.Errorf("the station got %s", frame)
		}
		s.Send(`[3,"` + id + `",` + f.by(`{}`, `{"status":"Accepted"}`) + `]`)
	})
	for _, path := range []string{"/frames?limit=1000", "/commands"} {
		r.Body += f.open().Want(t, 200, "GET", "/stations/"+s.ID+path, "").Body
	}
	if strings.Contains(r.Body, "hush-hush") || !strings.Contains(r.Body, "ftp://fetcher:********@files.example/fw.bin") {
		t.Errorf("what is shown of the address: %s", r.Body)
	}
}

// faultPublic: what anybody may read names no station and no key.
func faultPublic(t *testing.T, f *fault) {
	id, password := f.withPassword(t, f.open(), 1)
	s := f.open().Dial(t, id, f.version, apptest.Dial{Password: password}).Boot(f.version)
	s.Ask(f.begun("a", stamp(5), ""), `[3,"a","<any>"]`)
	_, session := sessions(t, f.open(), id)
	anybody := &apptest.Client{Base: f.open().Base}
	paths := []string{"//healthz", "//readyz", "//metrics", "//", "//index.html", "/docs", "/openapi.json", "//stations/" + id, "//ocpp/" + id, "//ocpp/", "//robots.txt"}
	index := anybody.Do(t, "GET", "//", "").Body
	for _, part := range strings.Split(index, `"`) {
		if strings.HasPrefix(part, "/assets/") || strings.HasPrefix(part, "./assets/") {
			paths = append(paths, "//"+strings.TrimLeft(part, "./"))
		}
	}
	for _, path := range paths {
		r := anybody.Do(t, "GET", path, "")
		for _, secret := range []string{id, password, apptest.Key, session.ID, "TAG"} {
			if secret == "TAG" && strings.Contains(path, "assets") {
				continue // three letters of a program
			}
			if secret == id && strings.HasPrefix(path, "//stations/") {
				continue // the console's page, which has no data of its own
			}
			if strings.Contains(r.Body, secret) || strings.Contains(fmt.Sprint(r.Header), secret) {
				t.Errorf("GET %s tells %q", path, secret)
			}
		}
	}
	for _, path := range []string{"/stations", "/stations/" + id, "/sessions/" + session.ID, "/overview", "/events", "/stations/" + id + "/frames/live"} {
		if r := anybody.Do(t, "GET", path, ""); r.Status != 401 || strings.Contains(r.Body, id) {
			t.Errorf("GET %s: %d %s", path, r.Status, r.Body)
		}
	}
}

// faultSecretsTold: a station tells its passwords in every way that its version has; none is kept, on disk or elsewhere.
func faultSecretsTold(t *testing.T, f *fault) {
	secret := "hush" + strings.ReplaceAll(f.id(), "-", "")
	names := []string{"ApnPassword", "VPNPassword", "VpnKey", "WifiPassphrase", "MqttSecret"}
	s := f.dial(t, apptest.Dial{Manual: true}).Boot(f.version)
	ask := s.Next() // the node reads the device model of a new station
	if f.is16() {
		keys := `{"key":"AuthorizationKey","readonly":false,"value":"` + secret + `"},{"key":"HeartbeatInterval","readonly":false,"value":"301"}`
		for _, name := range names {
			keys += `,{"key":"` + name + `","readonly":false,"value":"` + secret + `"}`
		}
		s.Send(`[3,"` + frameID(t, ask) + `",{"configurationKey":[` + keys + `]}]`)
	} else {
		var request struct{ RequestID int }
		var parts []json.RawMessage
		if err := json.Unmarshal([]byte(ask), &parts); err != nil || json.Unmarshal(parts[3], &request) != nil {
			t.Fatal(ask)
		}
		s.Send(`[3,"` + frameID(t, ask) + `",{"status":"Accepted"}]`)
		data := reportData("OCPPCommCtrlr", "HeartbeatInterval", "301") + "," + reportData("SecurityCtrlr", "BasicAuthPassword", secret)
		for _, name := range names {
			data += "," + reportData("NetworkConfiguration", name, secret)
		}
		s.Ask(call("r", "NotifyReport", fmt.Sprintf(`{"requestId":%d,"generatedAt":"%s","seqNo":0,"reportData":[%s]}`, request.RequestID, stamp(0), data)), `[3,"r",{}]`)
		s.Ask(call("e", "NotifyEvent", `{"generatedAt":"`+stamp(0)+`","seqNo":0,"eventData":[{"eventId":1,"timestamp":"`+stamp(0)+`","trigger":"Delta","actualValue":"`+secret+
			`","eventNotificationType":"HardWiredNotification","component":{"name":"NetworkConfiguration"},"variable":{"name":"ApnPassword"}}]}`), `[3,"e",{}]`)
		r := f.command(t, s, "GetVariables", `{"getVariableData":[{"component":{"name":"NetworkConfiguration"},"variable":{"name":"ApnPassword"}}]}`, func(id, _ string) {
			s.Send(`[3,"` + id + `",{"getVariableResult":[{"attributeStatus":"Accepted","attributeValue":"` + secret + `","component":{"name":"NetworkConfiguration"},"variable":{"name":"ApnPassword"}}]}]`)
		})
		if r.Status != 200 || strings.Contains(r.Body, secret) {
			t.Errorf("the answer: %d %s", r.Status, r.Body)
		}
	}
	var vars struct {
		Items []struct{ Variable, Value string }
	}
	apptest.Poll(t, "the device model", func() bool {
		f.open().Get(t, "/stations/"+s.ID+"/variables", &vars)
		return slices.ContainsFunc(vars.Items, func(v struct{ Variable, Value string }) bool {
			return v.Variable == "HeartbeatInterval" && v.Value == "301"
		})
	})
	for _, path := range []string{"", "/variables", "/frames?limit=1000", "/commands", "/notices"} {
		if r := f.open().Want(t, 200, "GET", "/stations/"+s.ID+path, ""); strings.Contains(r.Body, secret) {
			t.Errorf("%s shows it: %s", path, r.Body)
		}
	}
	wantNotOnDisk(t, f.open().Config.DataDir, secret)
}

func reportData(component, variable, value string) string {
	return `{"component":{"name":"` + component + `"},"variable":{"name":"` + variable + `"},"variableAttribute":[{"value":"` + value + `"}]}`
}

// wantNotOnDisk looks for a text in every file of a folder, which databases write as it is.
func wantNotOnDisk(t *testing.T, dir, text string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files in %s: %v", len(files), dir, err)
	}
	for _, file := range files {
		if file.IsDir() {
			continue
		}
		raw, err := os.ReadFile(dir + "/" + file.Name())
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), text) {
			t.Errorf("%s holds it", file.Name())
		}
	}
}

// csrs are certificate requests with one thing wrong each.
func csrs(t *testing.T) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request := func(change func(*x509.CertificateRequest)) string {
		c := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "somebody else", Organization: []string{"Another"}}}
		change(c)
		der, err := x509.CreateCertificateRequest(rand.Reader, c, key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	}
	forged, _ := pem.Decode([]byte(request(func(*x509.CertificateRequest) {})))
	forged.Bytes[len(forged.Bytes)-1] ^= 1
	return map[string]string{
		"another name": request(func(*x509.CertificateRequest) {}),
		"names":        request(func(c *x509.CertificateRequest) { c.DNSNames = []string{"platform.example"} }),
		"an authority": request(func(c *x509.CertificateRequest) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 19}, Value: []byte{0x30, 3, 1, 1, 0xff}}}
		}),
		"bad signature": string(pem.EncodeToMemory(forged)),
		"no request":    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
	}
}

func faultBadCSR(t *testing.T, f *fault) {
	s := f.station(t)
	s.Ask(f.by(call("boot", "BootNotification", `{"chargePointVendor":"V","chargePointModel":"M","chargePointSerialNumber":"4711"}`),
		call("boot", "BootNotification", `{"reason":"PowerUp","chargingStation":{"vendorName":"V","model":"M","serialNumber":"4711"}}`)), `[3,"boot","<any>"]`)
	n := 0
	for what, csr := range csrs(t) {
		n++
		id := fmt.Sprint("k", n)
		s.Send(call(id, "SignCertificate", `{"csr":`+quoted(csr)+`}`))
		answer := s.Next()
		if _, err := apptest.Match(f.by(`[3,"`+id+`",{"status":"Rejected"}]`, `[3,"`+id+`",{"status":"Rejected","statusInfo":{"reasonCode":"InvalidCSR","additionalInfo":"<text>"}}]`), answer); err != nil {
			t.Errorf("%s: %v: %s", what, err, answer)
		}
	}
	s.Quiet() // nothing was issued
}

func faultManyCSRs(t *testing.T, f *fault) {
	events := f.open().Listen(t, "/events")
	s, other := f.station(t), f.station(t)
	csr := quoted(csrs(t)["names"])
	for i := range 100 {
		id := fmt.Sprint("k", i)
		s.Ask(call(id, "SignCertificate", `{"csr":`+csr+`}`), f.by(`[3,"`+id+`",{"status":"Rejected"}]`, `[3,"`+id+`",{"status":"Rejected","statusInfo":"<any>"}]`))
		if i%25 == 0 {
			s.Quiet() // its other messages are heard
			other.Quiet()
		}
	}
	wantSecurityEvent(events, s.ID)
	var list struct{ Items []struct{ Action string } }
	f.open().Get(t, "/stations/"+s.ID+"/notices?action=SignCertificate&limit=1000", &list)
	if len(list.Items) == 0 || len(list.Items) > 20 { // a minute may end in between
		t.Errorf("%d of 100 requests were looked at", len(list.Items))
	}
	other.Ask(call("k", "SignCertificate", `{"csr":`+csr+`}`), f.by(`[3,"k",{"status":"Rejected"}]`,
		`[3,"k",{"status":"Rejected","statusInfo":{"reasonCode":"InvalidCSR","additionalInfo":"<text>"}}]`))
}

func faultFirmwareStatus(t *testing.T, f *fault) {
	events := f.open().Listen(t, "/events")
	s := f.station(t)
	action := f.by("SignedFirmwareStatusNotification", "FirmwareStatusNotification")
	order := []string{"Installed", "Downloading", "InvalidSignature", "Idle"}
	for i, status := range order { // nobody asked for an update, and the order is not one that can be
		id := fmt.Sprint("f", i)
		request := `,"requestId":4711`
		if status == "Idle" {
			request = ""
		}
		s.Ask(call(id, action, `{"status":"`+status+`"`+request+`}`), `[3,"`+id+`",{}]`)
	}
	wantSecurityEvent(events, s.ID)
	var list struct {
		Items []struct{ Payload struct{ Status string } }
	}
	f.open().Get(t, "/stations/"+s.ID+"/notices?action=FirmwareStatusNotification", &list)
	var got []string
	for _, n := range list.Items {
		got = append(got, n.Payload.Status)
	}
	slices.Reverse(order)
	if !slices.Equal(got, order) {
		t.Errorf("recorded %v, want %v", got, order)
	}
}
