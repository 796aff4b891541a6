package blackbox_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/procura/procura/cert/certtest"
)

// tppHost is the one address of the clients' own that the server may call: it
// publishes key sets and counts who asks.
type tppHost struct {
	base   string
	server *http.Server
	mu     sync.Mutex
	pages  map[string]*page
}

// page is one document of the clients' own host.
type page struct {
	hits    atomic.Int64
	serve   http.HandlerFunc
	address string
}

func (r *rig) openTPP(context.Context) error {
	at, err := url.Parse(r.TPPBase)
	if err != nil {
		return err
	}
	leaf, err := r.serverCA.Issue(certtest.Server(time.Now(), "localhost", "127.0.0.1"))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", at.Host)
	if err != nil {
		return err
	}
	h := &tppHost{base: r.TPPBase, pages: map[string]*page{}}
	h.server = &http.Server{Handler: h, TLSConfig: &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = h.server.ServeTLS(listener, "", "") }() // ends with close
	r.tpp = h
	return nil
}

func (h *tppHost) close() { _ = h.server.Close() }

// publish puts a document at a path of the host.
func (h *tppHost) publish(path string, serve http.HandlerFunc) *page {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &page{serve: serve, address: h.base + path}
	h.pages[path] = p
	return p
}

// page returns a document that was published.
func (h *tppHost) page(path string) *page {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pages[path]
}

// ServeHTTP implements http.Handler.
func (h *tppHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	p := h.pages[r.URL.Path]
	h.mu.Unlock()
	if p == nil {
		http.NotFound(w, r)
		return
	}
	p.hits.Add(1)
	p.serve(w, r)
}
