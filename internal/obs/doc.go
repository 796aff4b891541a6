// Package obs is what the server says about itself: one structured line per
// request (Event) and the few lines around start and stop (Logger). It refuses to
// write secrets: everything that passes through is scrubbed of what looks like a
// token, a code or a card number, so that a careless caller leaks nothing. It is
// the only package that knows the logging library.
package obs
