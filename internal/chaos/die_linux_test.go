package chaos

import "syscall"

// diesWithParent also ends a process when the test itself is killed.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
