using Moat.Bench;

switch (args)
{
    case ["switch", .. var rest]:
        return SwitchBench.Run(rest);
    case ["spaces"]:
        return SpaceBench.Run();
    case ["safecopy"]:
        return SafeCopyBench.Run();
    case ["uring", .. var rest]:
        return UringBench.Run(rest.FirstOrDefault() ?? "");
    default:
        Console.Error.WriteLine("usage: Moat.Bench switch [ROUNDS [THREADS]] | spaces | safecopy | uring [PART OF A NAME]");
        return 2;
}
