namespace Moat.Kernel.Sockets;

/// <summary>When a part of what was sent passed a point on its way (SO_TIMESTAMPING, Documentation/networking/timestamping).</summary>
internal struct SendStamp
{
    /// <summary>Which part: its number (SOF_TIMESTAMPING_OPT_ID).</summary>
    public uint Key;

    /// <summary>Which point: SCM_TSTAMP_SND, _SCHED, _ACK.</summary>
    public uint Kind;

    /// <summary>The device took the time.</summary>
    public bool IsHardware;

    /// <summary>CLOCK_REALTIME, or the device's.</summary>
    public Timespec Time;
}
