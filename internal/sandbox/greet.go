package sandbox

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/procura/procura/internal/sandbox/world"
)

// greet says what runs, who the customers are, how to trust the CA and what to
// try next.
func (s *Sandbox) greet(w *world.World, took time.Duration) {
	var people []string
	for _, p := range w.PSUs {
		people = append(people, p.Username+" / "+p.Password)
	}
	var tpps []string
	for _, c := range w.Clients {
		tpps = append(tpps, c.ID)
	}
	dir := s.cfg.DataDir
	ca := filepath.Join(dir, w.CAFile)
	_, _ = fmt.Fprintf(s.cfg.Out, `
The Procura sandbox is up (%s). Not for production. Ctrl-C stops all of it.

  issuer         %s
  discovery      %s/.well-known/openid-configuration
  mutual TLS     %s
  bank API       %s/open-banking/v3.1/aisp/accounts   (behind the gateway, mutual TLS)
  bank login     %s
  operations     %s/readyz
  customers      %s
  clients        %s   (keys and certificates: see sandbox.json)
  state          %s

Trust: every certificate chains to %s, which is
name-constrained to localhost and the loopback addresses. For one call:
  curl --cacert %s %s/jwks
For Chromium and Chrome on Linux:
  certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n procura-sandbox -i %s
and to undo it:
  certutil -d sql:$HOME/.pki/nssdb -D -n procura-sandbox

Next, in another terminal:
  %s demo --data-dir %s          a TPP and its customers, every step explained
  %s clients list --config %s
  less %s    everything a foreign client needs
`,
		took.Round(10*time.Millisecond), w.Issuer, w.Issuer, w.MTLSBase, w.ResourceBase, s.at.url(offsetLogin), w.OpsBase,
		strings.Join(people, ", "), strings.Join(tpps, ", "), dir, ca, ca, w.Issuer, ca, s.cfg.Self, dir,
		filepath.Join(filepath.Dir(s.cfg.Self), "procura"), filepath.Join(dir, w.ConfigFile), filepath.Join(dir, world.FileName))
}
