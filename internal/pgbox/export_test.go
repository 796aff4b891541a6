package pgbox

// LetGo gives the lock away while Postgres goes on: what the death of the process
// leaves where the kernel passes no death signal on.
func LetGo(b *Box) error { return b.lock.Close() }

// Dir is where the cluster really is.
func Dir(b *Box) string { return b.home.dir }

// Socket is the folder of the socket.
func Socket(b *Box) string { return b.socket }

// Pid is the postmaster's.
func Pid(b *Box) int { return b.proc.cmd.Process.Pid }
