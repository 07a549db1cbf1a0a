namespace Moat.Platform.Trap;

/// <summary>
/// When one thread spins for one thing. After a spin in vain, or when somebody waits for a core, the next ones are left out: 1, 2, 4,
/// ... times. While spins pay, the host is asked again after 16, 32, 64, ... of them whether somebody waits: a spin that takes
/// somebody's core may well be answered, late.
/// </summary>
internal struct SpinHistory()
{
    private const int MaxSkip = 1024, FirstCheck = 16, MaxCheck = 1024;

    private int _skip, _nextSkip = 1, _left, _nextCheck = FirstCheck;

    /// <summary>False: this one is left out.</summary>
    public bool IsDue()
    {
        if (_skip == 0)
            return true;
        _skip--;
        return false;
    }

    /// <summary>
    /// Counts a spin that is about to begin. True: it is not to be, somebody waits for a core, or would once so many threads run that
    /// sleep now.
    /// </summary>
    public bool IsCrowded(int asleep)
    {
        if (--_left >= 0)
            return false;
        if (CoreBudget.IsCrowded(asleep))
        {
            Failed();
            return true;
        }

        // Room before the first spin proves nothing: whoever spins may take it from somebody who was asleep just then.
        if (_nextCheck > FirstCheck)
            Paid();
        _left = _nextCheck;
        _nextCheck = Math.Min(2 * _nextCheck, MaxCheck);
        return false;
    }

    /// <summary>A spin, or several of them, did what it was for.</summary>
    public void Paid() => _nextSkip = Math.Max(1, _nextSkip / 2);

    /// <summary>A spin was in vain.</summary>
    public void Failed()
    {
        _skip = _nextSkip;
        _nextSkip = Math.Min(2 * _nextSkip, MaxSkip);
        _left = 0;
        _nextCheck = FirstCheck;
    }
}
