# Charscope for a class: the dashboard, read-only, on port 8501. docs/serving.md says how to put it behind a proxy.
#
#     docker build -t charscope . && docker run --rm -p 127.0.0.1:8501:8501 charscope
FROM python:3.11-slim

RUN useradd --create-home --uid 10001 reader
WORKDIR /app

# Dependencies first: they change seldom, and the layer is kept when only the program changes.
COPY requirements-cpu.txt requirements.txt ./
RUN pip install --no-cache-dir -r requirements-cpu.txt && pip install --no-cache-dir -r requirements.txt

COPY .streamlit .streamlit
COPY inspector inspector
COPY dashboard dashboard
COPY checkpoints checkpoints

# The data folder is for notes and recordings that the teacher brings; readers cannot write to it.
ENV CHARSCOPE_READ_ONLY=1 \
    CHARSCOPE_DATA=/data \
    CHARSCOPE_RECORDINGS=/data/recordings \
    OMP_NUM_THREADS=2 \
    PYTHONUNBUFFERED=1
RUN mkdir -p /data/recordings && chown -R reader /data
USER reader
# The loops that reading and searching need, into the reader's own cache.
RUN python -m inspector compile
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["python", "-m", "streamlit", "run", "dashboard/app.py", "--server.address=0.0.0.0", "--server.port=8501"]
