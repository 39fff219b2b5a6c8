// Jenkinsfile of a multibranch pipeline; the branch source clones without "shallow clone"
pipeline {
    agent { docker { image 'python:3' } }
    stages {
        stage('Migrations') {
            when { changeRequest() }
            steps {
                sh 'python -m venv .venv-zdm && .venv-zdm/bin/pip install zdm-lint==0.1.0'
                sh 'git fetch origin "+refs/heads/$CHANGE_TARGET:refs/remotes/origin/$CHANGE_TARGET"'
                sh '.venv-zdm/bin/zdm-lint --base auto --format text --output - --format junit --output zdm-lint.xml'
            }
            post { always { junit testResults: 'zdm-lint.xml', allowEmptyResults: true } }
        }
    }
}
