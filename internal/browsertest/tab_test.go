package browsertest_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tabLimit is how long a tab may live: a page that never comes ends a test then.
const tabLimit = 25 * time.Second

var stopChrome func()

// openChrome starts a headless Chromium with an empty profile. It trusts what the
// pinned CA signed and nothing else that the system does not.
func openChrome(pin string) error {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium()),
		chromedp.Flag("ignore-certificate-errors-spki-list", pin),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("no-pings", true),
	)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocated, release := chromedp.NewExecAllocator(context.Background(), options...)
	var leave context.CancelFunc
	chrome, leave = chromedp.NewContext(allocated)
	stopChrome = func() {
		leave()
		release()
	}
	return chromedp.Do(chrome)
}

func closeChrome() error {
	if stopChrome == nil {
		return nil
	}
	err := chromedp.Cancel(chrome)
	stopChrome()
	return err
}

// tab is a customer's browser: a tab with cookies of its own.
type tab struct {
	t   *testing.T
	ctx context.Context
	mu  sync.Mutex
	bad []string // what the browser complained about
}

func openTab(t *testing.T) *tab {
	t.Helper()
	needChromium(t)
	opened, leave := chromedp.NewContext(chrome, chromedp.WithNewBrowserContext())
	t.Cleanup(leave)
	ctx, cancel := context.WithTimeout(opened, tabLimit)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, audits.Enable, struct{}{}); err != nil {
		t.Fatal(err)
	}
	return b
}

// hear keeps complaints: policy violations, failed loads, errors of scripts.
func (b *tab) hear(event any) {
	said := ""
	switch e := event.(type) {
	case *audits.EventIssueAdded:
		said = "issue " + string(e.Issue.Code)
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			said = fmt.Sprintf("%s %s", e.Entry.Source, e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		said = "exception " + e.ExceptionDetails.Text
	}
	if said != "" {
		b.mu.Lock()
		b.bad = append(b.bad, said)
		b.mu.Unlock()
	}
}

// complaints returns what the browser complained about so far.
func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.bad...)
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%v\nat %s\ncomplaints: %v", err, b.where(), b.complaints())
	}
}

// where is the address without its parameters.
func (b *tab) where() string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 5*time.Second)
	defer cancel()
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		return err.Error()
	}
	address, _, _ := strings.Cut(at, "?")
	return address
}

func (b *tab) location() *url.URL {
	b.t.Helper()
	at, err := chromedp.Run(b.ctx, chromedp.Location())
	if err != nil {
		b.t.Fatal(err)
	}
	u, err := url.Parse(at)
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// eval runs a script of the test's in the page.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// login waits for the bank's login page and logs the first customer in.
func (b *tab) login(password, press string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.ID("username")),
		chromedp.SetValue(chromedp.ID("username"), house.World.PSUs[0].Username),
		chromedp.SendKeys(chromedp.ID("password"), password))
	if press == "\r" {
		b.do(chromedp.SendKeys(chromedp.ID("password"), press))
		return
	}
	b.do(chromedp.Click(chromedp.ID(press)))
}

// shoot keeps a picture of the whole page.
func (b *tab) shoot(name string) {
	b.t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.t.ArtifactDir(), name+".png"), picture, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
