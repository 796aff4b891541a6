package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/procura/procura/internal/sandbox/browser"
)

// playLimit is how long one scenario may take.
const playLimit = 90 * time.Second

// scenario is what the foreign client is told to do.
type scenario struct {
	Dir      string `json:"dir"`
	Name     string `json:"name"`
	ID       string `json:"id"`
	Way      string `json:"way"`
	Response string `json:"response"`
}

// message is a line that the foreign client writes: a customer is wanted, or the
// scenario is over.
type message struct {
	Open     string   `json:"open"`
	Press    string   `json:"press"`
	Checks   int      `json:"checks"`
	Failures []string `json:"failures"`
}

// play runs a scenario in a process of its own. Fewer checks than fewest mean that
// the scenario did not do what it is there for.
func play(t *testing.T, s scenario, fewest int) {
	t.Helper()
	s.Dir = house.Dir
	ctx, cancel := context.WithTimeout(t.Context(), playLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "main.mjs")
	cmd.Dir = clientDir
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	in, out := pipes(t, cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last, err := converse(ctx, in, out, s)
	if waited := cmd.Wait(); err != nil || waited != nil {
		t.Fatalf("playing: %v, %v\n%s", err, waited, trouble.String())
	}
	for _, failure := range last.Failures {
		t.Error(failure)
	}
	if last.Checks < fewest {
		t.Errorf("%d checks were made, %d are expected", last.Checks, fewest)
	}
}

func pipes(t *testing.T, cmd *exec.Cmd) (io.WriteCloser, io.Reader) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	return in, out
}

// converse answers the foreign client until it says that it is done.
func converse(ctx context.Context, in io.WriteCloser, out io.Reader, s scenario) (message, error) {
	defer in.Close()
	tell := json.NewEncoder(in)
	if err := tell.Encode(s); err != nil {
		return message{}, err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return m, fmt.Errorf("reading %q: %w", lines.Text(), err)
		}
		if m.Open == "" {
			return m, nil
		}
		landed, err := visit(ctx, m.Open, m.Press)
		if err != nil {
			return m, err
		}
		if err := tell.Encode(map[string]string{"landed": landed}); err != nil {
			return m, err
		}
	}
	return message{}, fmt.Errorf("the foreign client ended early: %w", lines.Err())
}

// visit is the customer: logs in, presses a button of the consent page, and lands
// at the third party's redirect URI.
func visit(ctx context.Context, address, button string) (string, error) {
	roots, err := trust()
	if err != nil {
		return "", err
	}
	home := strings.TrimPrefix(house.World.TPPBase, "https://")
	b, err := browser.New(browser.Config{Roots: roots, Home: func(u *url.URL) bool { return u.Host == home }})
	if err != nil {
		return "", err
	}
	defer b.Close()
	page, err := b.Open(ctx, address)
	if err != nil {
		return "", err
	}
	customer := house.World.PSUs[0]
	for id, value := range map[string]string{"username": customer.Username, "password": customer.Password} {
		if err := page.Fill(id, value); err != nil {
			return "", err
		}
	}
	for _, press := range []string{"submit_button", button} {
		if page, err = b.Submit(ctx, page, press); err != nil {
			return "", err
		}
	}
	if !page.Home {
		return "", fmt.Errorf("the customer is at %q: %s", page.Title, page.Text)
	}
	return page.URL.String(), nil
}

func trust() (*x509.CertPool, error) {
	raw, err := os.ReadFile(house.World.Path(house.World.CAFile))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("%s holds no certificate", house.World.CAFile)
	}
	return roots, nil
}
