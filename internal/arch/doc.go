// Package arch holds no code: its test executes the rules of
// docs/ARCHITECTURE.md over the module's own imports.
package arch
