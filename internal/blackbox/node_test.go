package blackbox_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/procura/procura/cert/certtest"
)

// node is a second process of the server on the same database, as behind a load
// balancer, with another brand of the bank beside the sandbox's issuer.
type node struct {
	public, mtls string // where it listens
	brand        string // issuer URL of the other brand
	brandMTLS    string
}

// startNode starts the operator's program for the life of the test.
func startNode(t *testing.T) *node {
	t.Helper()
	ports := freePorts(t, 3)
	n := &node{public: ports[0], mtls: ports[1], brand: house.Issuer + "/brand-b", brandMTLS: house.MTLSBase + "/brand-b"}
	file := n.config(t, ports[2])
	cmd := exec.Command(house.procura, "serve", "--config", file)
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = io.Discard, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			t.Errorf("ending the second node: %v: %s", err, out)
		}
		if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	})
	ready := "http://" + ports[2] + "/readyz"
	eventually(t, "the second node is ready", func() bool {
		res, err := http.Get(ready)
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return n
}

func freePorts(t *testing.T, count int) []string {
	t.Helper()
	var all []string
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}

// config writes the sandbox's own configuration with other ports and one more
// issuer; its relative paths hold beside the sandbox's file alone.
func (n *node) config(t *testing.T, ops string) string {
	t.Helper()
	raw, err := os.ReadFile(house.Path(house.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for name, address := range map[string]string{"public": n.public, "mtls": n.mtls, "ops": ops} {
		text = regexp.MustCompile(`(?m)^  `+name+`: .*$`).ReplaceAllString(text, "  "+name+": "+address)
	}
	first, rest, found := strings.Cut(text, "\nlisten:")
	_, issuer, isIssuer := strings.Cut(first, "issuers:\n")
	if !found || !isIssuer {
		t.Fatal("the sandbox's configuration is not what it was")
	}
	other := strings.ReplaceAll(issuer, `"`+house.Issuer+`"`, `"`+n.brand+`"`)
	other = strings.ReplaceAll(other, `"`+house.MTLSBase+`"`, `"`+n.brandMTLS+`"`)
	file := filepath.Join(house.dir, "second-node-"+house.run+".yaml")
	if err := os.WriteFile(file, []byte(first+"\n"+strings.TrimRight(other, "\n")+"\nlisten:"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// client is an HTTP client that finds the issuer's names at this node.
func (n *node) client(t *testing.T, leaf *certtest.Leaf) *http.Client {
	t.Helper()
	c := house.client(leaf)
	places := map[string]string{hostOf(t, house.Issuer): n.public, hostOf(t, house.MTLSBase): n.mtls}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	c.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		place, known := places[address]
		if !known {
			return nil, fmt.Errorf("%s is not served by the second node", address)
		}
		return dialer.DialContext(ctx, network, place)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func hostOf(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// dialTLS opens a connection to the host of an address with more settings.
func dialTLS(t testing.TB, address string, conf *tls.Config) *tls.Conn {
	t.Helper()
	conf.RootCAs = house.roots
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", hostOf(t, address), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the server may have closed it
	return conn
}
