using Moat.Kernel.Syscalls;

namespace Moat.Kernel.IoUring;

/// <summary>
/// What the requests, registrations and set-ups of a sandbox may be (--uring-policy). What is denied answers as it does on a restricted
/// ring (io_uring_register(2), IORING_REGISTER_RESTRICTIONS): EACCES. A setup flag answers as one that the kernel does not know.
/// </summary>
/// <param name="Operations">Allowed operations, a bit for each opcode.</param>
/// <param name="Registrations">Allowed registrations, a bit for each.</param>
/// <param name="Setup">Allowed flags of io_uring_setup(2).</param>
/// <param name="SqeFlags">Allowed flags of requests.</param>
internal sealed record UringPolicy(ulong Operations, ulong Registrations, IoUringSetup Setup, SqeFlags SqeFlags)
{
    /// <summary>True when programs may submit the operation.</summary>
    public bool Allows(IoUringOp op) => (Operations >> (int)op & 1) != 0;

    /// <summary>True when programs may ask for the registration.</summary>
    public bool Allows(IoUringRegisterOp op) => (Registrations >> (int)op & 1) != 0;

    /// <summary>A table in which what is denied refuses.</summary>
    public Operation?[] Restrict(Operation?[] table)
        => [.. table.Select(o => o is null || Allows(o.Number) ? o : new DeniedOperation(o))];

    /// <summary>Stands where an operation is denied.</summary>
    private sealed class DeniedOperation : Operation
    {
        public DeniedOperation(Operation denied)
            => Bind(denied.Number, denied.Flags, Support.ErrnoOnly, "");

        /// <inheritdoc/>
        public override Errno Prepare(Request request) => Errno.EACCES;

        /// <inheritdoc/>
        public override IssueStatus Issue(Request request, IssueFlags flags) => request.Done(Errno.EACCES);
    }
}
