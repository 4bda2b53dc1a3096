package cli

import (
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// MonitorFlags name the monitoring pages of the servers: the only place where a
// server tells how it writes to disk.
type MonitorFlags struct{ URLs []string }

// AddTo defines the flag.
func (m *MonitorFlags) AddTo(flags *pflag.FlagSet) {
	flags.StringSliceVar(&m.URLs, "monitor", nil, "`URL` of a server's monitoring page, such as http://127.0.0.1:8222, to see whether it syncs what it acknowledges; once for each server, or with commas between")
}

// Check is a usage error for what is no URL.
func (m *MonitorFlags) Check() error {
	for _, u := range m.URLs {
		if err := eventlog.CheckMonitor(u); err != nil {
			return Usagef("--monitor: %w", err)
		}
	}
	return nil
}
