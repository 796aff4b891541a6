package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/procura/procura/migrations"
)

type versionCmd struct {
	Config string `help:"Not needed; accepted like everywhere." placeholder:"FILE" type:"path"`
}

// Help implements kong.HelpProvider.
func (versionCmd) Help() string { return `Example: procura version` }

// Run implements the command.
func (versionCmd) Run(w *world) error {
	version, revision := "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	fmt.Fprintf(w.stdout, "procura %s\nrevision %s\nschema %d\n%s %s/%s\n",
		version, revision, migrations.Latest, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
