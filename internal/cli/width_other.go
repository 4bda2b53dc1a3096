//go:build !linux && !darwin

package cli

import "os"

// terminalSize is not known here.
func terminalSize(*os.File) (columns, rows int) { return 0, 0 }
