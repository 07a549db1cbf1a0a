namespace Moat.Kernel.Memory;

/// <summary>
/// What a futex word is (man 2 futex): equal for all threads that mean the same word. Private words are an address in a memory
/// manager; shared ones are a place in the memory file or in a host file.
/// </summary>
/// <param name="Space">The memory manager's number; 0: the memory file; with bit 63: a host file's device.</param>
/// <param name="Inode">The host file's inode, else 0.</param>
/// <param name="Offset">Address or offset, bytes.</param>
internal readonly record struct FutexKey(ulong Space, ulong Inode, ulong Offset);
