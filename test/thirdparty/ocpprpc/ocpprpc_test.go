// Package ocpprpc proves that stations of the npm package ocpp-rpc charge through Lumela, in the strict mode in which the
// library checks every frame that Lumela sends against the schemas of OCPP 1.6 and 2.0.1.
//
// The go command does not see that these tests depend on the program: run them with -count=1.
package ocpprpc

import (
	"os"
	"os/exec"
	"testing"

	"lumela/test/thirdparty/node"
)

// lumela is the node that the stations connect to.
var lumela *node.Node

func TestMain(m *testing.M) { os.Exit(node.Main(m, &lumela)) }

// TestStrictStations runs the stations of ocpp-rpc, which are written in its language. The library is fetched as the
// lock file says.
func TestStrictStations(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: the stations of ocpp-rpc cannot run", tool)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts").CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	run := exec.CommandContext(t.Context(), "node", "--test", "--test-reporter=spec", "ocpp16.test.mjs", "ocpp201.test.mjs")
	run.Env = append(os.Environ(), "LUMELA_URL="+lumela.URL, "LUMELA_SOCKET="+lumela.Socket, "LUMELA_KEY="+lumela.Key)
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("node --test: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}
