package resource_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/procura/procura/resource"
	"github.com/procura/procura/resource/gateway"
)

// An API that verifies its callers' tokens itself. own is its certificate as a
// resource server of the issuer, and the one that it shows here.
func ExampleVerifier_Middleware() {
	serve := func(ctx context.Context, own tls.Certificate) error {
		client, err := resource.NewClient(own, nil)
		if err != nil {
			return err
		}
		feed, err := resource.NewFeed(
			resource.DefaultFeedConfig("https://mtls.auth.bank.example/revocations", "rs-accounts"),
			resource.FeedDeps{Client: client, Now: time.Now, Report: func(err error) {
				slog.Warn("the revocation feed was interrupted", "cause", err)
			}})
		if err != nil {
			return err
		}
		go func() { _ = feed.Run(ctx) }() // ends with ctx, and with nothing else
		fetch, err := resource.NewFetcher(nil)
		if err != nil {
			return err
		}
		verifier, err := resource.New(
			resource.DefaultConfig("https://auth.bank.example", "https://api.bank.example"),
			resource.Deps{Fetch: fetch, Revocations: feed, Now: time.Now})
		if err != nil {
			return err
		}

		accounts := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, _ := resource.FromContext(r.Context())
			if !token.User {
				resource.WriteError(w, resource.InvalidToken("a customer's token is needed", nil))
				return
			}
			fmt.Fprintf(w, "consent %s of client %s", token.ConsentID, token.ClientID)
		})
		handler, err := resource.WithInteractionID(
			verifier.Middleware(resource.RequireScope("accounts", accounts)), rand.Reader)
		if err != nil {
			return err
		}
		policy, err := gateway.TLSConfig([]tls.Certificate{own}) // asks for a client certificate
		if err != nil {
			return err
		}
		server := &http.Server{Addr: ":8443", Handler: handler, TLSConfig: policy, ReadHeaderTimeout: 5 * time.Second}
		return server.ListenAndServeTLS("", "")
	}
	_ = serve
}
