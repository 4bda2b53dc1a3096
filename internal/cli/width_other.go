//go:build !linux && !darwin

package cli

import "os"

// terminalColumns is not known here.
func terminalColumns(*os.File) int { return 0 }
