//go:build unix && !linux

package chaos

import "syscall"

// diesWithParent is more than this system offers: a test that is killed leaves
// its processes behind.
func diesWithParent() *syscall.SysProcAttr { return nil }
