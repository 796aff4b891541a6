// Package web is the building's shell: listeners and their TLS policy, the one
// routing table, the pipeline that every request passes, discovery and the pages.
// It knows no room; it is given handlers. It refuses what no handler should see:
// unknown hosts, wrong methods, oversized bodies, weak handshakes. It never
// answers across origins, never derives a URL from a request and never redirects.
package web
